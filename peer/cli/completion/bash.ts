import { type CommandOutline, commandsOf, type Values } from './outline.js';

/** A script for bash (4 or newer): `source <(shoal completion bash)`. */
export function bashScript(root: CommandOutline): string {
  const commands = commandsOf(root);
  return `# bash completion for shoal
_shoal() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} chain='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$chain \${COMP_WORDS[i]}" in
${commands.filter(isNotRoot).map(chainCase).join('\n')}
    esac
  done
  case "$chain:$prev" in
${commands.flatMap(valueCases).join('\n')}
  esac
  if [[ $cur == -* ]]; then
    case $chain in
${commands.map(optionCase).join('\n')}
    esac
    COMPREPLY+=($(compgen -W ${quoted(flagsOf(root))} -- "$cur"))
    return
  fi
  case $chain in
${commands.flatMap(argumentCase).join('\n')}
  esac
}
complete -F _shoal shoal
`;
}

function isNotRoot(command: CommandOutline): boolean {
  return command.chain.length > 0;
}

function chainCase({ chain }: CommandOutline): string {
  const parent = chain.slice(0, -1).join(' ');
  return `      ${quoted(`${parent} ${chain.at(-1)}`)}) chain=${quoted(chain.join(' '))} ;;`;
}

function valueCases({ chain, options }: CommandOutline): string[] {
  // Options of the root stand behind any command.
  const before = chain.length === 0 ? '*' : quoted(chain.join(' '));
  return options
    .filter((option) => option.values.kind !== 'none')
    .map((option) => {
      const patterns = option.flags.map((flag) => `${before}:${flag}`).join('|');
      return `    ${patterns}) ${replies(option.values)}return ;;`;
    });
}

function optionCase(command: CommandOutline): string {
  const flags = command.chain.length === 0 ? '' : flagsOf(command);
  return `      ${quoted(command.chain.join(' '))}) COMPREPLY=($(compgen -W ${quoted(flags)} -- "$cur")) ;;`;
}

function argumentCase({ chain, children, argument }: CommandOutline): string[] {
  const values: Values =
    children.length > 0 ? { kind: 'choice', words: children.map((child) => child.chain.at(-1) ?? '') } : argument;
  const reply = replies(values);
  return reply === '' ? [] : [`    ${quoted(chain.join(' '))}) ${reply};;`];
}

function replies(values: Values): string {
  switch (values.kind) {
    case 'choice':
      return `COMPREPLY=($(compgen -W ${quoted(values.words.join(' '))} -- "$cur")); `;
    case 'path':
      // What a name needs to be one word, such as an escaped space, is the business of \`-o filenames\`.
      return `compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); `;
    case 'any':
    case 'none':
      return '';
  }
}

function flagsOf(command: CommandOutline): string {
  return command.options.flatMap((option) => option.flags).join(' ');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
