import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { DomainError } from '../errors.ts'
import type { ScrubRunView } from '../registry/admin/scrub-views.ts'
import { type AdminFlags, adminCommand } from './admin/options.ts'
import { administer, everything, moment, printDone, printListing } from './admin/run.ts'
import { parseSize } from './amounts.ts'
import { formatBytes } from './format.ts'
import { print, printJson } from './print.ts'
import { printable } from './printable.ts'
import { describeFaultPlaces, describeRun, describeScrub } from './scrub-display.ts'

interface RunFlags extends AdminFlags {
  readonly all?: true
  readonly rate?: number
}

/** `scrub`: whether what is stored is what was pushed. */
export function scrubCommand(): Command {
  const command = new Command('scrub').description('check what is stored, and show what is damaged')
  for (const each of [statusCommand(), runCommand(), faultsCommand(), straysCommand()])
    command.addCommand(each)
  return command
}

function statusCommand(): Command {
  return adminCommand('status', 'show how far the check is, and what was found').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask => {
        const found = await ask('scrub.status', {})
        printDone(flags, found, describeScrub(found))
      })
    },
  )
}

function runCommand(): Command {
  return adminCommand('run', 'check all that is stored now, whatever the time of day')
    .option('--all', 'go on however many blobs are missing: they are really lost')
    .addOption(
      new Option(
        '--rate <bytes>',
        'bytes per second, such as 100MiB; 0: as fast as it goes (default: scrub.bytesPerSecond)',
      ).argParser(parseRate),
    )
    .action(async (flags: RunFlags) => {
      await administer(flags, async ask => {
        const takesAll = flags.all === true
        const rate = flags.rate === undefined ? {} : { bytesPerSecond: flags.rate }
        let lastTurn = performance.now()
        let isTold = false
        for (let begins = true; ; begins = false) {
          const run = await ask('scrub.run', { begins, takesAll: takesAll && begins, ...rate })
          if (run.outcome === 'elsewhere') {
            if (performance.now() - lastTurn >= patienceMs) throw atWork()
            if (!isTold && flags.json !== true)
              print('another process is checking; this one waits for its turn')
            isTold = true
            await sleep(retryMs)
            continue
          }
          lastTurn = performance.now()
          if (flags.json === true) printJson(run)
          else print(describeRun(run))
          throwIfStopped(run)
          if (run.outcome !== 'more') return
        }
      })
    })
}

/** A registry that scrubs by itself lets others have a turn after a minute, and after the object that it is at. */
const patienceMs = 120_000
const retryMs = 500

function faultsCommand(): Command {
  return adminCommand('faults', 'list damaged blobs, and the images that have them').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'scrub.faults', {}),
          ['DIGEST', 'KIND', 'SIZE', 'FOUND', 'IN'],
          fault => [
            fault.digest,
            `${fault.kind}: ${printable(fault.detail)}`,
            formatBytes(fault.size),
            moment(fault.foundAt),
            describeFaultPlaces(fault),
          ],
          'no damaged blobs',
        ),
      )
    },
  )
}

function straysCommand(): Command {
  return adminCommand('strays', 'list objects of the store that nothing names').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask =>
        printListing(
          flags,
          await everything(ask, 'scrub.strays', {}),
          ['OBJECT', 'SIZE', 'FOUND', 'DIGEST'],
          ({ key, size, foundAt, digest }) => [key, formatBytes(size), moment(foundAt), digest ?? '-'],
          'no objects without a name',
        ),
      )
    },
  )
}

function parseRate(text: string): number {
  const rate = parseSize(text)
  if (typeof rate === 'number') return rate
  throw new InvalidArgumentError(rate)
}

function atWork(): DomainError {
  return new DomainError(
    'busy',
    'Another process is checking at this moment, and goes on; follow it with `varve scrub status`.',
    { resource: 'scrub' },
  )
}

function throwIfStopped({ outcome }: ScrubRunView): void {
  if (outcome !== 'stopped') return
  throw new DomainError(
    'conflict',
    'So many blobs are missing in the store that checking has stopped: it may be the wrong bucket or directory. If they are really lost, use `varve scrub run --all`.',
    { resource: 'scrub' },
  )
}
