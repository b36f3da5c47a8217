import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { blobDataPath } from '../../src/storage/adopt/legacy-layout.ts'
import { manifestOf } from './registry-client.ts'

/** The files of a registry of distribution's, written by hand, so that there can be anything wrong with them. */
export class LegacyFiles {
  /** By path below `docker/registry/v2`. */
  readonly files = new Map<string, Buffer>()

  blob(bytes: Buffer): Digest {
    const digest = digestOf(bytes)
    this.files.set(blobDataPath(digest), bytes)
    return digest
  }

  layer(repository: string, bytes: Buffer): Digest {
    const digest = this.blob(bytes)
    this.files.set(`repositories/${repository}/_layers/${pathOf(digest)}/link`, Buffer.from(digest))
    return digest
  }

  manifest(repository: string, bytes: Buffer, ...tags: readonly string[]): Digest {
    const digest = this.blob(bytes)
    this.files.set(revisionPath(repository, digest), Buffer.from(digest))
    for (const tag of tags) this.files.set(tagPath(repository, tag), Buffer.from(digest))
    return digest
  }

  /** With its config and layers; what makes it different are the layers, or what else is given. */
  image(repository: string, tag: string, layers: readonly Buffer[], more?: object): Digest {
    const config = Buffer.from('{}')
    for (const bytes of [config, ...layers]) this.layer(repository, bytes)
    return this.manifest(repository, manifestOf(config, layers, more), tag)
  }

  /** Below `docker/registry/v2` of a directory. */
  async write(directory: string): Promise<void> {
    for (const [path, bytes] of this.files) {
      const file = join(directory, 'docker/registry/v2', path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, bytes)
    }
  }
}

export function revisionPath(repository: string, digest: Digest): string {
  return `repositories/${repository}/_manifests/revisions/${pathOf(digest)}/link`
}

export function tagPath(repository: string, tag: string): string {
  return `repositories/${repository}/_manifests/tags/${tag}/current/link`
}

export function layerPath(repository: string, digest: Digest): string {
  return `repositories/${repository}/_layers/${pathOf(digest)}/link`
}

function pathOf(digest: Digest): string {
  return digest.replace(':', '/')
}
