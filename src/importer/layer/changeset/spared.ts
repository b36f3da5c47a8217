import type { Place } from '../tree/root-tree.ts'

/** Keeps the ACL of what is at a place, whatever the directory hands down. */
export function spare({ directory, name }: Place): void {
  directory.spared ??= new Set()
  directory.spared.add(name)
}

/** Whether the ACL of what is at a place, no directory, is none that the system had it inherit in this layer. */
export function isSpared({ directory, name }: Place): boolean {
  if (directory.spared?.has(name) === true) return true
  return !directory.isClean && directory.ownNames?.has(name) !== true
}
