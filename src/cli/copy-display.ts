import cliProgress from 'cli-progress'
import { counted } from '../counted.ts'
import type { BlobInfo } from '../storage/blobs/blob-store.ts'
import type { Digest } from '../storage/digest.ts'
import type { CopyProgress, CopyReport } from '../storage/images/copy-image.ts'
import { formatBytes, shortDigest } from './format.ts'
import { printable, printableJson } from './printable.ts'

/** Shows a copy while it runs. */
export interface CopyDisplay extends CopyProgress {
  done(source: string, target: string, report: CopyReport): void
  /** Gives the terminal back; also after a failure. */
  close(): void
}

/** Bars on a terminal; otherwise one JSON record per line, which scripts can follow. */
export function createCopyDisplay(output: NodeJS.WriteStream, json: boolean): CopyDisplay {
  return output.isTTY && !json ? new TerminalDisplay(output) : new JsonDisplay(output)
}

/** Between two records of how far a blob has come. */
const recordEveryMs = 500

class JsonDisplay implements CopyDisplay {
  readonly #output: NodeJS.WriteStream
  readonly #toldAt = new Map<Digest, number>()

  constructor(output: NodeJS.WriteStream) {
    this.#output = output
  }

  manifest(digest: Digest, state: string): void {
    this.#tell({ type: 'manifest', digest, state })
  }

  blob({ digest, size }: BlobInfo, state: string): void {
    this.#toldAt.delete(digest)
    this.#tell({ type: 'blob', digest, size, state })
  }

  bytes({ digest, size }: BlobInfo, stored: number): void {
    const now = performance.now()
    const before = this.#toldAt.get(digest)
    if (before !== undefined && now - before < recordEveryMs) return
    this.#toldAt.set(digest, now)
    this.#tell({ type: 'bytes', digest, size, stored })
  }

  done(source: string, target: string, { manifest, ...counts }: CopyReport): void {
    this.#tell({ type: 'done', source, target, ...manifest, ...counts })
  }

  close(): void {}

  #tell(record: object): void {
    this.#output.write(`${printableJson(record)}\n`)
  }
}

/** One bar for each blob that comes, and one line once it has; above them, how much has been done. */
class TerminalDisplay implements CopyDisplay {
  readonly #output: NodeJS.WriteStream
  readonly #bars: cliProgress.MultiBar
  readonly #counts: cliProgress.SingleBar
  readonly #blobs = new Map<Digest, cliProgress.SingleBar>()
  #manifestsDone = 0
  #blobsDone = 0
  #isOpen = true

  constructor(output: NodeJS.WriteStream) {
    this.#output = output
    this.#bars = new cliProgress.MultiBar(
      {
        format: '  {blob} {bar} {percentage}% of {size}',
        barsize: 30,
        hideCursor: true,
        clearOnComplete: true,
        stream: output,
      },
      cliProgress.Presets.shades_grey,
    )
    const format = '  {manifests} manifests, {blobs} blobs'
    this.#counts = this.#bars.create(0, 0, this.#payload, { format })
  }

  manifest(_digest: Digest, state: 'begun' | 'present' | 'copied'): void {
    if (state !== 'begun') this.#manifestsDone += 1
    this.#counts.update(this.#payload)
  }

  blob({ digest, size }: BlobInfo, state: 'begun' | 'present' | 'mounted' | 'copied'): void {
    if (state === 'begun') return
    this.#blobsDone += 1
    this.#counts.update(this.#payload)
    if (state !== 'present') this.#bars.log(`  ${shortDigest(digest)} ${formatBytes(size)} ${state}\n`)
    const bar = this.#blobs.get(digest)
    this.#blobs.delete(digest)
    if (bar !== undefined) this.#bars.remove(bar)
  }

  bytes({ digest, size }: BlobInfo, stored: number): void {
    const bar =
      this.#blobs.get(digest) ??
      this.#bars.create(Math.max(size, 1), 0, { blob: shortDigest(digest), size: formatBytes(size) })
    this.#blobs.set(digest, bar)
    bar.update(stored)
  }

  done(source: string, target: string, report: CopyReport): void {
    this.close()
    this.#output.write(`${printable(copySummary(source, target, report))}\n`)
  }

  close(): void {
    // Stopped twice, it would move the cursor up into what has been printed since.
    if (!this.#isOpen) return
    this.#isOpen = false
    // The lines that are still to be printed are, with this.
    this.#bars.update()
    this.#bars.stop()
  }

  get #payload(): object {
    return { manifests: this.#manifestsDone, blobs: this.#blobsDone }
  }
}

/** One line, with the digest that the target has now. */
export function copySummary(source: string, target: string, report: CopyReport): string {
  const { digest } = report.manifest
  const { manifestsCopied, manifestsAbsent, blobsCopied, blobsMounted, blobsPresent, referrersCopied } =
    report
  const absent = manifestsAbsent === 0 ? '' : `; not at the source: ${counted(manifestsAbsent, 'manifest')}`
  if (manifestsCopied + blobsCopied + blobsMounted === 0)
    return `${target} is up to date with ${source}: ${digest}${absent}`
  const blobs = `${counted(blobsCopied, 'blob')} copied (${formatBytes(report.bytes)}), ${blobsMounted} mounted, ${blobsPresent} there already`
  return `copied ${source} to ${target}: ${counted(manifestsCopied, 'manifest')} (${referrersCopied} of referrers), ${blobs}${absent}: ${digest}`
}
