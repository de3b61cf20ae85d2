/** The value of one series of a peer's metrics now, written as it stands on the page. */
export async function metricOf(peer: { readonly url: string }, series: string): Promise<number> {
  return metricIn(await (await fetch(`${peer.url}/metrics`)).text(), series);
}

/** The value of one series on a page of metrics. Throws when it is not there. */
export function metricIn(page: string, series: string): number {
  const line = page.split('\n').find((each) => each.startsWith(`${series} `));
  if (line === undefined) throw new Error(`there is no ${series}`);
  return Number(line.slice(series.length + 1));
}
