import { parser } from '@prometheus-io/lezer-promql';

type Tree = ReturnType<typeof parser.parse>;
type SyntaxNode = Tree['topNode'];

/** What a query picks: a metric, and by which labels. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

/** What there is to check about a query. */
export interface Query {
  readonly selectors: readonly Selector[];
  /** Labels named by `by` and `without`. */
  readonly grouping: readonly string[];
}

/** Reads a query; throws when it is not PromQL. */
export function parseQuery(text: string): Query {
  const tree = parser.parse(text);
  const textOf = (node: SyntaxNode | null) => (node === null ? '' : text.slice(node.from, node.to));
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  tree.iterate({
    enter: ({ type, node }) => {
      if (type.isError) throw new Error(`not PromQL, at '${text.slice(node.from, node.from + 20)}': ${text}`);
      if (type.name === 'VectorSelector') {
        const matchers = (node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []).map((matcher) => ({
          label: textOf(matcher.getChild('LabelName')),
          operator: textOf(matcher.getChild('MatchOp')),
          value: textOf(matcher.getChild('StringLiteral')).slice(1, -1),
        }));
        selectors.push({ metric: textOf(node.getChild('Identifier')), matchers });
      }
      if (type.name === 'GroupingLabels') grouping.push(...node.getChildren('LabelName').map(textOf));
    },
  });
  return { selectors, grouping };
}
