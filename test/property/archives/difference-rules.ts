import type { TreeEntry } from '../../support/tree.ts'
import { type Entry, isEntry, type Part } from './archive.ts'
import { type Difference, secondsOf } from './difference.ts'
import type { Tool } from './oracle.ts'
import type { Scene } from './scenes.ts'
import { componentsOf } from './walk.ts'

/** Why a path may differ although everything was applied, as `reference/layers.md` numbers the reasons. */
export interface DifferenceRule {
  readonly id: string
  readonly reason: string
  readonly tools: readonly Tool[]
  readonly explains: (difference: Difference, scene: Scene) => boolean
}

/** Of what is made meanwhile and given no time. No archive has a time from here on, until 2038. */
const present = BigInt(Math.floor(Date.now() / 1000)) - 1n
const endOfPresent = present + 30n * 24n * 3600n
/** In 2262, of 64 bits of nanoseconds. */
const lastTime = 9_223_372_036

function isPresent(seconds: bigint): boolean {
  return seconds >= present && seconds < endOfPresent
}

/** As R18 has it: the nearest time that there is. */
function clamped(mtime: number): bigint {
  return BigInt(Math.floor(Math.min(Math.max(mtime, 0), lastTime)))
}

/** Those of the last layer that may be for this directory. */
function directoryEntriesFor(path: string, { archive }: Scene): Entry[] {
  return entriesFor(path, archive.layers.at(-1)?.parts ?? [])
}

/** The directories that may be at this path: links on the way do not change the last component. */
function entriesFor(path: string, parts: readonly Part[]): Entry[] {
  const name = path === '.' ? undefined : path.split('/').at(-1)
  return parts.filter(isEntry).filter(({ kind, name: own }) => {
    const isDirectory = kind === 'directory' || (kind === 'file' && own.endsWith('/'))
    return isDirectory && componentsOf(own).at(-1) === name
  })
}

function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.'
}

function isImplied({ mode, uid, gid }: TreeEntry, expectedMode: number, group: number): boolean {
  return mode === expectedMode && uid === 0 && gid === group
}

/**
 * The groups that new directories in this one may have got while it, or one that it is in, was setgid. Owner and mode may be
 * those of different entries, and the one or the other inherited.
 */
function setgidGroups(path: string, scene: Scene): number[] {
  const trees = [scene.ours.lower, scene.ours.tree, scene.theirs.tree]
  const parts = scene.archive.layers.flatMap(layer => layer.parts)
  const all = withAncestors(path).flatMap(at => [
    ...trees.flatMap(tree => tree.get(at) ?? []),
    ...entriesFor(at, parts),
  ])
  return all.some(({ mode }) => (mode & 0o2000) !== 0) ? all.map(({ gid }) => gid) : []
}

function withAncestors(path: string): string[] {
  return path === '.' ? [path] : [path, ...withAncestors(parentOf(path))]
}

export const differenceRules: readonly DifferenceRule[] = [
  {
    id: 'R10 R17 times of directories without entry',
    reason:
      'a directory that no entry describes keeps its time, and is made with time 0; elsewhere it is the present',
    tools: ['gnu', 'bsd'],
    explains: ({ path, aspect, ours, theirs }, scene) => {
      if (aspect !== 'mtime' || ours?.type !== 'directory' || theirs === undefined) return false
      const before = scene.ours.lower.get(path)
      const expected = before?.type === 'directory' ? secondsOf(before) : 0n
      return isPresent(secondsOf(theirs)) && secondsOf(ours) === expected
    },
  },
  {
    id: 'R10 setgid directories without entry',
    reason:
      'a directory that no entry describes is root:root 0755; elsewhere it inherits the group of a setgid parent',
    tools: ['gnu', 'bsd'],
    explains: ({ path, aspect, ours, theirs }, scene) =>
      ['mode', 'owner'].includes(aspect) &&
      ours?.type === 'directory' &&
      isImplied(ours, 0o755, 0) &&
      theirs !== undefined &&
      setgidGroups(parentOf(path), scene).some(group => isImplied(theirs, 0o2755, group)),
  },
  {
    id: 'R16 setgid directories with entry',
    reason:
      "a directory's mode is its entry's; GNU tar leaves a bit there that it inherited from a setgid parent",
    tools: ['gnu'],
    explains: ({ path, aspect, ours, theirs }, scene) =>
      aspect === 'mode' &&
      ours?.type === 'directory' &&
      theirs?.mode === (ours.mode | 0o2000) &&
      directoryEntriesFor(path, scene).length > 0 &&
      setgidGroups(parentOf(path), scene).length > 0,
  },
  {
    id: 'R17 times of directories that were there',
    reason:
      "an entry's time for a directory holds at the end; bsdtar sets it at once when the directory is there already",
    tools: ['bsd'],
    explains: (difference, scene) => {
      const { path, aspect, ours, theirs } = difference
      if (aspect !== 'mtime' || ours?.type !== 'directory' || theirs === undefined) return false
      return (
        isPresent(secondsOf(theirs)) &&
        directoryEntriesFor(path, scene).some(({ mtime }) => clamped(mtime) === secondsOf(ours))
      )
    },
  },
  {
    id: 'R18 times out of range',
    reason: 'a time before 1970 or after 2262 becomes the nearest one',
    tools: ['gnu', 'bsd'],
    explains: ({ aspect, ours, theirs }) =>
      aspect === 'mtime' &&
      ours !== undefined &&
      theirs !== undefined &&
      clamped(Number(secondsOf(theirs))) !== secondsOf(theirs) &&
      secondsOf(ours) === clamped(Number(secondsOf(theirs))),
  },
  {
    id: 'R20 global header',
    reason: 'a global header says nothing; for the others it holds for the entries after it',
    tools: ['gnu', 'bsd'],
    explains: ({ aspect, theirs }, { archive }) =>
      archive.layers.some(({ parts }) =>
        parts.some(
          part =>
            part.kind === 'global-header' &&
            ((aspect === 'mtime' &&
              theirs !== undefined &&
              String(secondsOf(theirs)) === part.records['mtime']) ||
              (aspect === 'owner' && String(theirs?.uid) === part.records['uid'])),
        ),
      ),
  },
  {
    id: 'R25 devices',
    reason: 'device nodes, and hard links to them, are not made',
    tools: ['gnu', 'bsd'],
    explains: ({ aspect, theirs }) =>
      aspect === 'missing' && (theirs?.type === 'block' || theirs?.type === 'character'),
  },
]
