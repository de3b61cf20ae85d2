import type { LoadRequest } from './load-client.js';
import { animalOf, idOf, isPublic, kindTag, nameOf, ownerOf, projectPrefix, projectTag } from './planned-catalogue.js';

/** Something that is asked again and again, each time about another file. */
export interface Question {
  /** Column of the report. */
  readonly title: string;
  /** About the file of this number, one that everybody may read. */
  ask(file: number): LoadRequest;
}

/** Who asks: peers locate files, people list and search them. */
export interface Askers {
  readonly peerToken: string;
  readonly session: string;
}

/** The number of a file that everybody may read, out of `files`; `random` is from 0 up to, not including, 1. */
export function publicFile(files: number, random: number): number {
  const number = Math.floor(random * files);
  return isPublic(number) ? number : number - 1;
}

/** Locates a file by its id. */
export function locateById({ peerToken }: Pick<Askers, 'peerToken'>): Question {
  return { title: 'locate, by id', ask: (file) => locate(peerToken, idOf(file)) };
}

/** All that is asked of a large catalogue besides {@link locateById}. */
export function otherQuestions({ peerToken, session }: Askers): readonly Question[] {
  const get = (path: string): LoadRequest => ({ method: 'GET', path, token: session });
  const list = (query: readonly (readonly [string, string])[]) =>
    get(`/api/v1/files?${new URLSearchParams(pairs(query))}`);
  const search = (text: string) => get(`/api/v1/search?${new URLSearchParams({ text })}`);
  const projectNumber = (file: number) => projectTag(file).slice(1);
  return [
    { title: 'locate, by OWNER/NAME', ask: (file) => locate(peerToken, `${ownerOf(file)}/${nameOf(file)}`) },
    { title: 'locate, a file that every peer holds', ask: () => locate(peerToken, idOf(0)) },
    { title: 'list by prefix, 100 of 900', ask: (file) => list([['prefix', projectPrefix(file)]]) },
    { title: 'list by tag, 100 of 900', ask: (file) => list([['tag', `project=${projectTag(file)}`]]) },
    {
      title: 'list by two tags, 100 of 100',
      ask: (file) => list([projectTagPair(file), ['tag', `kind=${kindTag(file)}`]]),
    },
    { title: 'search, a word in every 11th name', ask: (file) => search(animalOf(file)) },
    { title: 'search, two words, 100 of 900', ask: (file) => search(`${animalOf(file)} ${projectNumber(file)}`) },
    { title: 'search, a word in one name', ask: (file) => search(nameOf(file).slice(-11, -4)) },
  ];
}

function projectTagPair(file: number): readonly [string, string] {
  return ['tag', `project=${projectTag(file)}`];
}

function pairs(query: readonly (readonly [string, string])[]): [string, string][] {
  return query.map(([name, value]) => [name, value]);
}

function locate(token: string, ref: string): LoadRequest {
  return { method: 'POST', path: '/api/v1/locate', token, body: { ref } };
}
