import type { UploadId } from '../storage/blobs/blob-store.ts'
import type { Digest } from '../storage/digest.ts'
import type { RepositoryName } from '../storage/reference.ts'

/*
 * Where things are, always as a path: the registry cannot know the scheme, host and port under which a proxy
 * shows it. Names, digests and ids hold no character that a path would have to escape.
 */

export function blobPath(repository: RepositoryName, digest: Digest): string {
  return `/v2/${repository}/blobs/${digest}`
}

export function manifestPath(repository: RepositoryName, digest: Digest): string {
  return `/v2/${repository}/manifests/${digest}`
}

/** @param state what upload-state.ts has signed. */
export function uploadPath(repository: RepositoryName, id: UploadId, state: string): string {
  return `/v2/${repository}/blobs/uploads/${id}?_state=${state}`
}

/** `Range` of an upload session: no unit, last byte inclusive. An empty session has no right form; clients know this one. */
export function uploadRange(offset: number): string {
  return `0-${Math.max(offset - 1, 0)}`
}
