import cliProgress from 'cli-progress'
import { counted } from '../counted.ts'
import type { ImportEvent, ImportResult, LayerProgressEvent } from '../importer/import-service.ts'
import { formatBytes, formatDuration, shortDigest } from './format.ts'
import { printable, printableJson } from './printable.ts'
import { warningLines } from './warning-lines.ts'

/** Shows an import while it runs. */
export interface ImportDisplay {
  onEvent(event: ImportEvent): void
  done(result: ImportResult): void
  /** Gives the terminal back; also after a failure. */
  close(): void
}

/** Bars on a terminal; otherwise one JSON record per line, which scripts can follow. */
export function createImportDisplay(output: NodeJS.WriteStream, json: boolean): ImportDisplay {
  return output.isTTY && !json ? new TerminalDisplay(output) : new JsonDisplay(output)
}

class JsonDisplay implements ImportDisplay {
  readonly #output: NodeJS.WriteStream

  constructor(output: NodeJS.WriteStream) {
    this.#output = output
  }

  onEvent(event: ImportEvent): void {
    this.#output.write(`${printableJson(event)}\n`)
  }

  done(result: ImportResult): void {
    this.#output.write(`${printableJson({ type: 'done', ...result })}\n`)
  }

  close(): void {}
}

/** One bar per layer that is missing; layers that are there already are one line. */
class TerminalDisplay implements ImportDisplay {
  readonly #output: NodeJS.WriteStream
  readonly #bars: cliProgress.MultiBar
  readonly #layers = new Map<number, cliProgress.SingleBar>()
  /** Said at the end, where the bars no longer move. */
  readonly #warnings: string[] = []

  constructor(output: NodeJS.WriteStream) {
    this.#output = output
    this.#bars = new cliProgress.MultiBar(
      {
        format: '  {layer} {bar} {percentage}% of {size}  {state}',
        barsize: 30,
        hideCursor: true,
        clearOnComplete: false,
        stream: output,
      },
      cliProgress.Presets.shades_grey,
    )
  }

  onEvent(event: ImportEvent): void {
    switch (event.type) {
      case 'resolved': {
        const present = event.layers.filter(layer => layer.present).length
        this.#say(
          `${event.image} (${event.platform}) is ${shortDigest(event.manifestDigest)}: ${counted(event.layers.length, 'layer')}, ${present} there already`,
        )
        for (const [index, { blob, size, present: isPresent }] of event.layers.entries())
          if (!isPresent)
            this.#layers.set(
              index,
              this.#bars.create(Math.max(size, 1), 0, {
                layer: shortDigest(blob),
                size: formatBytes(size),
                state: '',
              }),
            )
        return
      }
      case 'waiting':
        this.#say(`  another import is making ${shortDigest(event.chainId)}; waiting for it`)
        return
      case 'layer-progress':
        this.#layers.get(event.layer)?.update(event.blobBytes, { state: stateOf(event) })
        return
      case 'layer-done': {
        const bar = this.#layers.get(event.layer)
        const state = `${counted(event.report.entries, 'entry', 'entries')} in ${formatDuration(event.milliseconds)}`
        bar?.update(bar.getTotal(), { state })
        for (const line of warningLines(event.report.warnings))
          this.#warnings.push(`  warning: layer ${event.layer}: ${line}`)
        return
      }
      default:
        event satisfies never
    }
  }

  done({ image, chainId, location, imported, milliseconds }: ImportResult): void {
    this.#bars.stop()
    for (const line of this.#warnings) this.#say(line)
    this.#say(
      imported === 0
        ? `${image} is up to date; nothing to do (chain ${shortDigest(chainId)} at ${location})`
        : `imported ${counted(imported, 'layer')} of ${image} in ${formatDuration(milliseconds)}: chain ${shortDigest(chainId)} at ${location}`,
    )
  }

  close(): void {
    this.#bars.stop()
  }

  #say(line: string): void {
    this.#output.write(`${printable(line)}\n`)
  }
}

function stateOf({ phase, blobBytes, size, entries, bytesPerSecond }: LayerProgressEvent): string {
  const rate = blobBytes < size ? `, ${formatBytes(bytesPerSecond)}/s` : ''
  switch (phase) {
    case 'download':
      return `fetching ahead${rate}`
    case 'apply':
      return `${counted(entries, 'entry', 'entries')}${rate}`
    case 'commit':
      return `${counted(entries, 'entry', 'entries')}, committing`
  }
}
