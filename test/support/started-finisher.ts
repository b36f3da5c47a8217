import { constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { ByteString } from '../../src/importer/layer/byte-string.ts'
import { ThreadedFileFinisher } from '../../src/importer/layer/engine/finishing/threaded-file-finisher.ts'
import { Directory } from '../../src/importer/layer/tree/directory.ts'
import { NewFile } from '../../src/importer/layer/tree/new-file.ts'

/** One whose thread runs, so that it takes what it is given. */
export async function startedFinisher(): Promise<ThreadedFileFinisher> {
  const finisher = new ThreadedFileFinisher({ startAfter: 0 })
  const directory = mkdtempSync(join(tmpdir(), 'varve-finisher-'))
  const file = openNewFile(join(directory, 'first'))
  const place = { directory: Directory.root(), name: 'first' as ByteString }
  const attributes = { mode: 0o600, uid: 0, gid: 0, mtime: 1 }
  while (!finisher.take(file, new Uint8Array(), attributes, place)) await setTimeout(1)
  finisher.settle()
  rmSync(directory, { recursive: true })
  return finisher
}

/** As the tree makes them. */
export function openNewFile(path: string): NewFile {
  const descriptor = openSync(path, constants.O_CREAT | constants.O_WRONLY, 0o600)
  return new NewFile({ descriptor, mode: 0o600, uid: 0, gid: 0 })
}
