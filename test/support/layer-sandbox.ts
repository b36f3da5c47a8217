import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { DirectoryXattrs, LayerReport } from '../../src/importer/layer/apply-layer.ts'
import { applyLayer } from '../../src/importer/layer/changeset/apply.ts'
import { defaultLayerLimits, type LayerLimits } from '../../src/importer/layer/limits.ts'
import { defaultLayerPolicy, type LayerPolicy } from '../../src/importer/layer/policy.ts'
import type { FileFinisher } from '../../src/importer/layer/tree/file-finisher.ts'
import { Canary } from './canary.ts'
import { listTree, type Tree } from './tree.ts'

/**
 * A root directory to apply layers to, with things next to it that no layer may touch. Disposing checks that
 * nothing did.
 */
export class LayerSandbox implements Disposable {
  readonly directory: string
  readonly rootfs: string
  /** What finishes files; without it, they are finished where they are made. */
  finisher: FileFinisher | undefined
  readonly #canary: Canary

  /** @param parent where it is made: the file system that the layers meet. */
  constructor(parent: string = tmpdir()) {
    this.directory = mkdtempSync(join(parent, 'varve-layer-'))
    this.rootfs = join(this.directory, 'rootfs')
    mkdirSync(this.rootfs)
    this.#canary = new Canary(this.directory, 'rootfs')
  }

  /** @param lowerDirectoryXattrs what is known of the tree so far; an import hands on what the report before says. */
  async apply(
    tar: Uint8Array | Readable,
    limits: Partial<LayerLimits> = {},
    policy: Partial<LayerPolicy> = {},
    lowerDirectoryXattrs?: DirectoryXattrs,
  ): Promise<LayerReport> {
    const stream = tar instanceof Readable ? tar : Readable.from(inPieces(tar))
    const options = {
      limits: { ...defaultLayerLimits, ...limits },
      policy: { ...defaultLayerPolicy, ...policy },
      lowerDirectoryXattrs,
    }
    return await applyLayer(this.rootfs, stream, options, { finisher: this.finisher })
  }

  tree(): Tree {
    return listTree(this.rootfs)
  }

  /** Paths of everything in the root, sorted, as `name`, `directory/`, or `symlink -> target`. */
  names(): string[] {
    const shown = [...this.tree()]
      .filter(([path]) => path !== '.')
      .map(([path, { type, target }]) => {
        if (type === 'directory') return `${path}/`
        return type === 'symlink' ? `${path} -> ${target}` : path
      })
    return shown.sort()
  }

  assertOutsideUntouched(): void {
    this.#canary.assertUntouched()
  }

  [Symbol.dispose](): void {
    try {
      this.assertOutsideUntouched()
    } finally {
      rmSync(this.directory, { recursive: true })
    }
  }
}

/** Odd sizes, so that headers and bodies are cut everywhere. */
function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  const size = bytes.length > 100_000 ? 65_536 : 700
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size)
}
