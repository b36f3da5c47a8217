import type { Tree, TreeEntry } from '../../support/tree.ts'

export type Aspect =
  | 'missing'
  | 'extra'
  | 'type'
  | 'mode'
  | 'owner'
  | 'mtime'
  | 'target'
  | 'content'
  | 'links'
  | 'device'

/** Between our tree and another reader's. */
export interface Difference {
  readonly path: string
  /** `missing`: we do not have it; `extra`: only we have it. */
  readonly aspect: Aspect
  readonly ours: TreeEntry | undefined
  readonly theirs: TreeEntry | undefined
}

/** Times count in whole seconds, and the mode of a symlink means nothing. */
export function differencesOf(ours: Tree, theirs: Tree): Difference[] {
  const differences: Difference[] = []
  for (const path of new Set([...ours.keys(), ...theirs.keys()])) {
    const [our, their] = [ours.get(path), theirs.get(path)]
    for (const aspect of aspectsOf(our, their)) differences.push({ path, aspect, ours: our, theirs: their })
  }
  return differences
}

function aspectsOf(ours: TreeEntry | undefined, theirs: TreeEntry | undefined): Aspect[] {
  if (ours === undefined) return ['missing']
  if (theirs === undefined) return ['extra']
  if (ours.type !== theirs.type) return ['type']
  const aspects: Aspect[] = []
  if (ours.type !== 'symlink' && ours.mode !== theirs.mode) aspects.push('mode')
  if (ours.uid !== theirs.uid || ours.gid !== theirs.gid) aspects.push('owner')
  if (secondsOf(ours) !== secondsOf(theirs)) aspects.push('mtime')
  if (ours.target !== theirs.target) aspects.push('target')
  if (ours.sha256 !== theirs.sha256) aspects.push('content')
  if (ours.links.join('\n') !== theirs.links.join('\n')) aspects.push('links')
  if (ours.device !== theirs.device) aspects.push('device')
  return aspects
}

/** Downwards, before 1970 as well. */
export function secondsOf({ mtime }: TreeEntry): bigint {
  const [seconds, rest] = [mtime / 1_000_000_000n, mtime % 1_000_000_000n]
  return rest < 0n ? seconds - 1n : seconds
}

export function describeDifference({ path, aspect, ours, theirs }: Difference): string {
  return `${JSON.stringify(path)} ${aspect}\n    ours   ${describeNode(ours)}\n    theirs ${describeNode(theirs)}`
}

export function describeTree(tree: Tree): string {
  return [...tree].map(([path, node]) => `  ${JSON.stringify(path)} ${describeNode(node)}`).join('\n')
}

function describeNode(node: TreeEntry | undefined): string {
  if (node === undefined) return 'nothing'
  const { type, mode, uid, gid, size, target, links } = node
  const link = target === '' ? '' : ` -> ${JSON.stringify(target)}`
  const names = links.length > 1 ? ` = ${JSON.stringify(links)}` : ''
  return `${type}${link} ${mode.toString(8)} ${uid}:${gid} @${secondsOf(node)} ${size} bytes${names}`
}
