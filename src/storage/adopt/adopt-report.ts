import type { Digest } from '../digest.ts'
import type { RepositoryName } from '../reference.ts'
import type { MovedBlob } from './blob-mover.ts'

/** What one run has done; all are counts, but bytes. Run again, everything that was adopted is present. */
export interface AdoptReport {
  /** That have anything in them. */
  readonly repositories: number
  readonly manifests: { readonly adopted: number; readonly present: number }
  /** `kept`: they have been set here later than over there. */
  readonly tags: { readonly adopted: number; readonly present: number; readonly kept: number }
  /** `linked`: its bytes were here, for another repository. */
  readonly blobs: Readonly<Record<MovedBlob['how'] | 'linked' | 'present', number>>
  readonly bytes: Readonly<Record<MovedBlob['how'], number>>
  readonly ignored: {
    /** Sessions that have not ended. */
    readonly uploads: number
    /** Links to blobs that are gone and that no manifest names: distribution's collection of garbage leaves them. */
    readonly staleLinks: number
  }
  /** What was left out, or is not whole. */
  readonly problems: Readonly<Record<AdoptProblemKind, number>>
}

export type AdoptProblemKind =
  | 'name' // of a repository, which is not legal
  | 'path' // that is not read, or makes no sense
  | 'link' // that is no digest
  | 'blob' // whose bytes are others, or cannot be read
  | 'manifest' // the same, or that is no manifest
  | 'schema1' // manifest
  | 'missing' // bytes that a manifest names; the manifest is adopted
  | 'tag' // that names nothing that was adopted

export interface AdoptProblem {
  readonly kind: AdoptProblemKind
  /** As the old registry calls it; undefined outside of all. */
  readonly repository?: string | undefined
  /** One sentence. */
  readonly message: string
}

export type AdoptEvent =
  | {
      readonly type: 'begun'
      readonly from: string
      readonly blobs: MovedBlob['how']
      readonly trust: boolean
    }
  | {
      readonly type: 'blob'
      readonly repository: RepositoryName
      readonly digest: Digest
      readonly size: number
      readonly how: MovedBlob['how']
    }
  | ({ readonly type: 'problem' } & AdoptProblem)
  /** One is done with. */
  | {
      readonly type: 'repository'
      readonly repository: RepositoryName
      readonly manifests: number
      readonly tags: number
    }

type Mutable<Value> = {
  -readonly [Key in keyof Value]: Value[Key] extends number ? number : Mutable<Value[Key]>
}

export type AdoptTally = Mutable<AdoptReport>

export function newTally(): AdoptTally {
  return {
    repositories: 0,
    manifests: { adopted: 0, present: 0 },
    tags: { adopted: 0, present: 0, kept: 0 },
    blobs: { shared: 0, used: 0, copied: 0, linked: 0, present: 0 },
    bytes: { shared: 0, used: 0, copied: 0 },
    ignored: { uploads: 0, staleLinks: 0 },
    problems: { name: 0, path: 0, link: 0, blob: 0, manifest: 0, schema1: 0, missing: 0, tag: 0 },
  }
}

/** Whether everything that the old registry serves is served here. */
export function isComplete({ problems }: AdoptReport): boolean {
  return Object.values(problems).every(count => count === 0)
}
