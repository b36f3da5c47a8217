import { join } from 'node:path'
import type { ChainId } from '../../../storage/chain-id.ts'
import { hexOf } from '../../../storage/digest.ts'
import type { CloneName } from '../chain-store.ts'

/*
 * Every path of a store, and the one place where they are made:
 *
 *   DIRECTORY/
 *   ├── varve.json                our mark
 *   ├── images/                   records of the images
 *   ├── spool/                    blobs on their way
 *   ├── claims/                   who makes which chain
 *   ├── locks/ID                  held by whoever works in building/ID
 *   ├── building/ID/              what is not finished, or is being removed
 *   ├── chains/CHAIN/             hex of the chain ID
 *   │   ├── root/                 the image's /
 *   │   └── facts.json
 *   └── clones/NAME/
 *       ├── root/
 *       └── clone.json
 */
export class DirectoryLayout {
  readonly directory: string
  readonly mark: string
  readonly images: string
  readonly spool: string
  readonly claims: string
  readonly locks: string
  readonly building: string
  readonly chains: string
  readonly clones: string

  constructor(directory: string) {
    this.directory = directory
    this.mark = join(directory, 'varve.json')
    this.images = join(directory, 'images')
    this.spool = join(directory, 'spool')
    this.claims = join(directory, 'claims')
    this.locks = join(directory, 'locks')
    this.building = join(directory, 'building')
    this.chains = join(directory, 'chains')
    this.clones = join(directory, 'clones')
  }

  chain(chain: ChainId): string {
    return join(this.chains, hexOf(chain))
  }

  clone(name: CloneName): string {
    return join(this.clones, name)
  }
}

export function rootfsOf(directory: string): string {
  return join(directory, 'root')
}

export function factsFileOf(chainDirectory: string): string {
  return join(chainDirectory, 'facts.json')
}

export function cloneFileOf(cloneDirectory: string): string {
  return join(cloneDirectory, 'clone.json')
}
