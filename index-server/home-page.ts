/** The page at `/`: what this server is and where to go on. Static but for the version. */
export function homePage(version: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Shoal index</title>
<h1>Shoal index ${version}</h1>
<p>This server knows which peer holds which file. The files themselves move between the peers.</p>
<ul>
<li><a href="/openapi.json">The HTTP API, as OpenAPI 3.1</a></li>
<li><a href="/metrics">Metrics</a></li>
<li><a href="/readyz">Whether it is ready</a></li>
</ul>
<p>On the command line: <code>shoal status</code>, <code>shoal peers</code>, <code>shoal ls</code>.</p>
</html>
`;
}
