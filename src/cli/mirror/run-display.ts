import cliProgress from 'cli-progress'
import type { LedRun } from '../../registry/mirror/lead-run.ts'
import type { MirrorObserver, MirrorTagPlace } from '../../registry/mirror/run-job.ts'
import type { BlobInfo } from '../../storage/blobs/blob-store.ts'
import type { CopyProgress } from '../../storage/images/copy-image.ts'
import type { MirrorResult, MirrorTotals, NewMirrorRun } from '../../storage/metadata/mirror-records.ts'
import { noTotals } from '../../storage/metadata/mirror-row.ts'
import { formatBytes, formatDuration, shortDigest } from '../format.ts'
import { printable, printableJson } from '../printable.ts'
import { shownTotals } from './shown-totals.ts'

/** Shows a run while it goes on. */
export interface MirrorDisplay {
  readonly observer: MirrorObserver
  begun(run: NewMirrorRun): void
  done(led: LedRun): void
  /** Gives the terminal back; also after a failure. */
  close(): void
}

/** Bars for blobs on a terminal; otherwise one JSON record per line, which scripts can follow. */
export function createMirrorDisplay(output: NodeJS.WriteStream, json: boolean): MirrorDisplay {
  return output.isTTY && !json ? terminalDisplay(output) : jsonDisplay(output)
}

function jsonDisplay(output: NodeJS.WriteStream): MirrorDisplay {
  const write = (type: string, record: object): void =>
    void output.write(`${printableJson({ type, ...record })}\n`)
  return {
    observer: {
      copying: place => {
        write('copying', place)
        return {
          blob: ({ digest, size }, what) => {
            if (what !== 'present') write('blob', { ...place, digest, size, what })
          },
        }
      },
      done: result => write('tag', result),
      paused: (until, reason) => write('paused', { until, reason }),
      resumed: () => write('resumed', {}),
      totals: totals => write('totals', allOf(totals)),
    },
    begun: run => write('begun', run),
    done: ({ run, totals, outcome, reason = null }) =>
      write('done', { run: run.id, job: run.job, outcome, reason, totals: allOf(totals) }),
    close: () => {},
  }
}

/** With null for what is not known, as administration answers it. */
function allOf(totals: MirrorTotals): object {
  return { ...totals, pullsLeft: totals.pullsLeft ?? null }
}

/** One bar for each blob on its way, what has been counted above them; what is done with scrolls by. */
function terminalDisplay(output: NodeJS.WriteStream): MirrorDisplay {
  const bars = new cliProgress.MultiBar(
    {
      format: '  {what} {bar} {percentage}% of {size}  {image}',
      barsize: 30,
      hideCursor: true,
      clearOnComplete: true,
      // A run that is stopped still says how it ended, and gives the terminal back then.
      gracefulExit: false,
      stream: output,
    },
    cliProgress.Presets.shades_grey,
  )
  const count = bars.create(0, 0, { line: 'comparing' }, { format: '  {line}' })
  let isOpen = true
  const say = (line: string): void => bars.log(`${printable(line)}\n`)
  const close = (): void => {
    // Stopped twice, it would move the cursor up into what has been printed since.
    if (!isOpen) return
    isOpen = false
    // What was said since it was drawn last is printed by drawing, and only so.
    bars.update()
    bars.stop()
  }
  let known: MirrorTotals = noTotals
  const seen = { copied: 0, unchanged: 0, skipped: 0, failed: 0, deleted: 0 }
  const draw = (): void => count.update({ line: shownTotals({ ...known, ...seen }) })
  return {
    observer: {
      copying: place => blobBars(bars, place),
      done: result => {
        seen[result.outcome] += 1
        draw()
        if (result.outcome !== 'unchanged') say(lineOf(result))
      },
      paused: (until, reason) => say(`paused until ${until.toISOString()}: ${reason}`),
      resumed: () => say('going on'),
      totals: totals => {
        known = totals
        draw()
      },
    },
    begun: ({ job, id }) => say(`mirror job ${job}, run ${id}`),
    done: ({ run, totals, outcome, reason }) => {
      close()
      const took = formatDuration(Date.now() - run.startedAt.getTime())
      const why = reason === undefined ? '' : ` ${reason}`
      output.write(`${printable(`${run.job}: ${outcome} in ${took}: ${shownTotals(totals)}.${why}`)}\n`)
    },
    close,
  }
}

function blobBars(bars: cliProgress.MultiBar, { target, tag }: MirrorTagPlace): CopyProgress {
  const shown = new Map<string, cliProgress.SingleBar>()
  const end = ({ digest }: BlobInfo): void => {
    const bar = shown.get(digest)
    if (bar !== undefined) bars.remove(bar)
    shown.delete(digest)
  }
  return {
    blob: (blob, what) => {
      if (what !== 'begun') end(blob)
    },
    // Blobs that are there have none.
    bytes: (blob, stored) => {
      if (!shown.has(blob.digest))
        shown.set(
          blob.digest,
          bars.create(Math.max(blob.size, 1), 0, {
            what: shortDigest(blob.digest),
            size: formatBytes(blob.size),
            image: printable(`${target}:${tag}`),
          }),
        )
      shown.get(blob.digest)?.update(stored)
    },
  }
}

function lineOf({ outcome, source, tag, bytes, reason }: MirrorResult): string {
  const name = tag === null ? source : `${source}:${tag}`
  const size = bytes === 0 ? '' : ` (${formatBytes(bytes)})`
  return `${outcome.padEnd(9)} ${name}${size}${reason === null ? '' : `: ${reason}`}`
}
