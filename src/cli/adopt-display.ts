import cliProgress from 'cli-progress'
import type { AdoptEvent, AdoptReport } from '../storage/adopt/adopt-report.ts'
import type { MovedBlob } from '../storage/adopt/blob-mover.ts'
import { formatBytes } from './format.ts'
import { printable, printableJson } from './printable.ts'

/** Shows an adoption while it runs. */
export interface AdoptDisplay {
  onEvent(event: AdoptEvent): void
  done(report: AdoptReport): void
  /** Gives the terminal back; also after a failure. */
  close(): void
}

/** One line that counts on a terminal; otherwise one JSON record per line, which scripts can follow. */
export function createAdoptDisplay(output: NodeJS.WriteStream, json: boolean): AdoptDisplay {
  return output.isTTY && !json ? new TerminalDisplay(output) : new JsonDisplay(output)
}

class JsonDisplay implements AdoptDisplay {
  readonly #output: NodeJS.WriteStream

  constructor(output: NodeJS.WriteStream) {
    this.#output = output
  }

  onEvent(event: AdoptEvent): void {
    this.#output.write(`${printableJson(event)}\n`)
  }

  done(report: AdoptReport): void {
    this.#output.write(`${printableJson({ type: 'done', ...report })}\n`)
  }

  close(): void {}
}

const begun: Readonly<Record<MovedBlob['how'], string>> = {
  shared:
    'Blobs get one more name in our own directory, without a copy; those on another file system are copied.',
  used: 'Blobs are used where they are, in the same bucket. When one is deleted here, its old object is; do not let the old registry collect garbage any more.',
  copied: 'Blobs are copied.',
}

/** How much has been done stands in the last line; problems scroll by above it. */
class TerminalDisplay implements AdoptDisplay {
  readonly #output: NodeJS.WriteStream
  readonly #bars: cliProgress.MultiBar
  readonly #line: cliProgress.SingleBar
  #repositories = 0
  #blobs = 0
  #bytes = 0
  #isOpen = true

  constructor(output: NodeJS.WriteStream) {
    this.#output = output
    this.#bars = new cliProgress.MultiBar(
      {
        format: '  {repositories} repositories  {blobs} new blobs  {bytes}',
        hideCursor: true,
        stream: output,
      },
      cliProgress.Presets.shades_grey,
    )
    this.#line = this.#bars.create(0, 0, this.#payload)
  }

  onEvent(event: AdoptEvent): void {
    switch (event.type) {
      case 'begun':
        this.#bars.log(`${printable(`Adopting ${event.from}. ${begun[event.blobs]}`)}\n`)
        if (event.trust && event.blobs !== 'copied')
          this.#bars.log('Their bytes are not read, and so not verified.\n')
        return
      case 'blob':
        this.#blobs += 1
        this.#bytes += event.size
        break
      case 'problem':
        this.#bars.log(`${printable(`${event.repository ?? '-'}: ${event.message}`)}\n`)
        return
      case 'repository':
        this.#repositories += 1
        break
      default:
        event satisfies never
    }
    this.#line.update(this.#payload)
  }

  done(report: AdoptReport): void {
    this.close()
    this.#output.write(`${summaryOf(report)}\n`)
  }

  close(): void {
    // Stopped twice, it would move the cursor up into what has been printed since.
    if (this.#isOpen) this.#bars.stop()
    this.#isOpen = false
  }

  get #payload(): object {
    return { repositories: this.#repositories, blobs: this.#blobs, bytes: formatBytes(this.#bytes) }
  }
}

/** What was done, one kind of thing per line. */
export function summaryOf({
  repositories,
  manifests,
  tags,
  blobs,
  bytes,
  ignored,
  problems,
}: AdoptReport): string {
  const ways = (['shared', 'used', 'copied'] as const).filter(how => blobs[how] > 0)
  const moved = ways.map(how => `${blobs[how]} ${how} (${formatBytes(bytes[how])})`)
  const others = [...(blobs.linked > 0 ? [`${blobs.linked} linked`] : []), `${blobs.present} were here`]
  const left = Object.entries(problems).filter(([, count]) => count > 0)
  return [
    `repositories  ${repositories}`,
    `manifests     ${manifests.adopted} adopted, ${manifests.present} were here`,
    `tags          ${tags.adopted} adopted, ${tags.present} were here, ${tags.kept} newer here`,
    `blobs         ${[...moved, ...others].join(', ')}`,
    `ignored       ${ignored.uploads} unfinished uploads, ${ignored.staleLinks} links to blobs that are gone and unused`,
    `left out      ${left.map(([kind, count]) => `${count} ${kind}`).join(', ') || 'nothing'}`,
  ].join('\n')
}
