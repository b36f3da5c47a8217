import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { applyLayer } from '../../src/importer/layer/changeset/apply.ts'
import type { LayerReport } from '../../src/importer/layer/apply-layer.ts'
import { defaultLayerLimits, type LayerLimits } from '../../src/importer/layer/limits.ts'
import { listTree, type Tree } from './tree.ts'

/**
 * A root directory to apply layers to, with things next to it that no layer may touch. Disposing checks that
 * nothing did.
 */
export class LayerSandbox implements Disposable {
  readonly directory: string
  readonly rootfs: string
  readonly #outside: Tree

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'varve-layer-'))
    this.rootfs = join(this.directory, 'rootfs')
    for (const name of ['rootfs', 'rootfs-evil', 'victim']) mkdirSync(join(this.directory, name))
    for (const name of ['canary', 'rootfs-evil/f', 'victim/authorized_keys'])
      writeFileSync(join(this.directory, name), 'untouched', { mode: 0o600 })
    this.#outside = this.#listOutside()
  }

  async apply(tar: Uint8Array | Readable, limits: Partial<LayerLimits> = {}): Promise<LayerReport> {
    const stream = tar instanceof Readable ? tar : Readable.from(inPieces(tar))
    return await applyLayer(this.rootfs, stream, { limits: { ...defaultLayerLimits, ...limits } })
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
    assert.deepEqual(this.#listOutside(), this.#outside)
  }

  [Symbol.dispose](): void {
    try {
      this.assertOutsideUntouched()
    } finally {
      rmSync(this.directory, { recursive: true })
    }
  }

  #listOutside(): Tree {
    return new Map([...listTree(this.directory)].filter(([path]) => !/^rootfs($|\/)/.test(path)))
  }
}

/** Odd sizes, so that headers and bodies are cut everywhere. */
function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  const size = bytes.length > 100_000 ? 65_536 : 700
  for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size)
}
