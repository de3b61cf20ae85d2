import { type CommandOutline, commandsOf, type OptionOutline, type Values } from './outline.js';

/** A script for fish (3 or newer): `shoal completion fish | source`. */
export function fishScript(root: CommandOutline): string {
  const commands = commandsOf(root);
  return `# fish completion for shoal
function __shoal_at --description 'Whether the command typed so far is the one given'
  set -l chain ''
  for word in (commandline -opc)[2..]
    switch "$chain $word"
${commands
  .filter((command) => command.chain.length > 0)
  .map(chainCase)
  .join('\n')}
    end
  end
  test "$chain" = "$argv[1]"
end
complete -c shoal -f
${commands.flatMap(completions).join('\n')}
`;
}

function chainCase({ chain }: CommandOutline): string {
  const parent = chain.slice(0, -1).join(' ');
  return `      case ${quoted(`${parent} ${chain.at(-1)}`)}
        set chain ${quoted(chain.join(' '))}`;
}

function completions(command: CommandOutline): string[] {
  const { chain, children, argument, options } = command;
  const condition = `-n ${quoted(`__shoal_at ${quoted(chain.join(' '))}`)}`;
  // Options of the root stand behind any command.
  const optionCondition = chain.length === 0 ? '' : ` ${condition}`;
  return [
    ...options.map((option) => `complete -c shoal${optionCondition} ${optionFlags(option)}`),
    ...children.map(
      (child) =>
        `complete -c shoal ${condition} -a ${quoted(child.chain.at(-1) ?? '')} -d ${quoted(child.description)}`,
    ),
    ...argumentCompletions(argument).map((values) => `complete -c shoal ${condition} ${values}`),
  ];
}

function argumentCompletions(argument: Values): string[] {
  if (argument.kind === 'path') return ['-F'];
  return argument.kind === 'choice' ? [`-a ${quoted(argument.words.join(' '))}`] : [];
}

function optionFlags(option: OptionOutline): string {
  const names = option.flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  return [...names, ...optionValues(option.values), `-d ${quoted(option.description)}`].join(' ');
}

function optionValues(values: Values): string[] {
  switch (values.kind) {
    case 'choice':
      return ['-x', '-a', quoted(values.words.join(' '))];
    case 'path':
      return ['-r', '-F'];
    case 'any':
      return ['-x'];
    case 'none':
      return [];
  }
}

/** In single quotes, where fish lets a backslash escape a quote and itself. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
