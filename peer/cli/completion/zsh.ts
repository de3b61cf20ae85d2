import { type CommandOutline, commandsOf, type OptionOutline, type Values } from './outline.js';

/** A script for zsh: `source <(shoal completion zsh)`, or saved as `_shoal` in a folder of `fpath`. */
export function zshScript(root: CommandOutline): string {
  const commands = commandsOf(root);
  return `#compdef shoal
_shoal() {
  local cur=\${words[CURRENT]} prev=\${words[CURRENT-1]} chain='' i
  local -a items
  for ((i = 2; i < CURRENT; i++)); do
    case "$chain \${words[i]}" in
${commands
  .filter((command) => command.chain.length > 0)
  .map(chainCase)
  .join('\n')}
    esac
  done
  case "$chain:$prev" in
${commands.flatMap(valueCases).join('\n')}
  esac
  if [[ $cur == -* ]]; then
    items=(${root.options.flatMap(describedOptions).join(' ')})
    case $chain in
${commands.flatMap(optionCase).join('\n')}
    esac
    _describe -o option items
    return
  fi
  case $chain in
${commands.flatMap(argumentCase).join('\n')}
  esac
}
if [[ \${funcstack[1]} == _shoal ]]; then
  _shoal "$@"
else
  compdef _shoal shoal
fi
`;
}

function chainCase({ chain }: CommandOutline): string {
  const parent = chain.slice(0, -1).join(' ');
  return `      (${quoted(`${parent} ${chain.at(-1)}`)}) chain=${quoted(chain.join(' '))} ;;`;
}

function valueCases({ chain, options }: CommandOutline): string[] {
  // Options of the root stand behind any command.
  const before = chain.length === 0 ? '*' : quoted(chain.join(' '));
  return options
    .filter((option) => option.values.kind !== 'none')
    .map((option) => {
      const patterns = option.flags.map((flag) => `${before}:${flag}`).join('|');
      return `    (${patterns}) ${replies(option.values)}return ;;`;
    });
}

function optionCase({ chain, options }: CommandOutline): string[] {
  if (chain.length === 0 || options.length === 0) return [];
  return [`      (${quoted(chain.join(' '))}) items+=(${options.flatMap(describedOptions).join(' ')}) ;;`];
}

function argumentCase({ chain, children, argument }: CommandOutline): string[] {
  const before = `    (${quoted(chain.join(' '))}) `;
  if (children.length > 0) {
    const items = children.map((child) => described(child.chain.at(-1) ?? '', child.description));
    return [`${before}items=(${items.join(' ')}); _describe command items ;;`];
  }
  const reply = replies(argument);
  return reply === '' ? [] : [`${before}${reply};;`];
}

function replies(values: Values): string {
  switch (values.kind) {
    case 'choice':
      return `compadd -- ${values.words.map(quoted).join(' ')}; `;
    case 'path':
      return '_files; ';
    case 'any':
    case 'none':
      return '';
  }
}

function describedOptions(option: OptionOutline): string[] {
  return option.flags.map((flag) => described(flag, option.description));
}

/** An item of `_describe`: what is completed, a colon, what it means. */
function described(word: string, description: string): string {
  return quoted(`${word.replaceAll(':', '\\:')}:${description}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
