import type { Argument, Command, Option } from 'commander';

/** What may follow an option, or stand as an argument. */
export type Values =
  | { readonly kind: 'none' }
  /** Something that nobody can guess. */
  | { readonly kind: 'any' }
  | { readonly kind: 'path' }
  | { readonly kind: 'choice'; readonly words: readonly string[] };

/** An option as completion sees it. */
export interface OptionOutline {
  /** `-o`, `--output`. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly values: Values;
}

/** A command as completion sees it. */
export interface CommandOutline {
  /** The words that lead to it, without the program's name; empty for the program itself. */
  readonly chain: readonly string[];
  readonly description: string;
  readonly children: readonly CommandOutline[];
  /** Its own options; those of the program stand in the program's outline. */
  readonly options: readonly OptionOutline[];
  readonly argument: Values;
}

/** The tree of a program, with all that a completion script needs of it. */
export function outlineOf(command: Command, chain: readonly string[] = []): CommandOutline {
  return {
    chain,
    description: command.description(),
    children: command.commands.map((child) => outlineOf(child, [...chain, child.name()])),
    options: command.options.map(outlineOfOption),
    argument: valuesOfArgument(command.registeredArguments[0]),
  };
}

/** Every command of a tree, the root first. */
export function commandsOf(root: CommandOutline): CommandOutline[] {
  return [root, ...root.children.flatMap(commandsOf)];
}

function outlineOfOption(option: Option): OptionOutline {
  const flags = [option.short, option.long].filter((flag): flag is string => typeof flag === 'string');
  return { flags, description: option.description, values: valuesOfOption(option) };
}

function valuesOfOption(option: Option): Values {
  if (!option.required) return { kind: 'none' };
  if (option.argChoices !== undefined) return { kind: 'choice', words: option.argChoices };
  return { kind: option.flags.endsWith('<path>') ? 'path' : 'any' };
}

function valuesOfArgument(argument: Argument | undefined): Values {
  if (argument === undefined) return { kind: 'none' };
  if (argument.argChoices !== undefined) return { kind: 'choice', words: argument.argChoices };
  return { kind: argument.name() === 'file' ? 'path' : 'any' };
}
