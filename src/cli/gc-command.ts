import { Command } from 'commander'
import { DomainError } from '../errors.ts'
import { type AdminFlags, adminCommand } from './admin/options.ts'
import { administer, printDone } from './admin/run.ts'
import { describeExplanation, describeStatus, describeTick } from './gc-display.ts'
import { print, printJson } from './print.ts'

/** `gc`: what nothing names any more, and what becomes of it. */
export function gcCommand(): Command {
  const status = adminCommand(
    'status',
    'show what has gone, what waits, and whether the collection is paused',
  ).action(async (flags: AdminFlags) => {
    await administer(flags, async ask => {
      const found = await ask('gc.status', {})
      printDone(flags, found, describeStatus(found))
    })
  })
  const run = adminCommand('run', 'collect what is due now, whatever the time of day').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask => {
        for (;;) {
          const tick = await ask('gc.run', {})
          if (tick.outcome === 'elsewhere') throw atWork()
          if (flags.json === true) printJson(tick)
          else print(describeTick(tick))
          if (tick.outcome === 'paused') throw paused()
          if (tick.outcome !== 'more') return
        }
      })
    },
  )
  const explain = adminCommand(
    'explain',
    'say why a blob or manifest is kept, as a path from a tag, or when it goes',
  )
    .argument('<digest>', 'sha256:… or sha512:…')
    .action(async (digest: string, flags: AdminFlags) => {
      await administer(flags, async ask => {
        const found = await ask('gc.explain', { digest })
        printDone(flags, found, describeExplanation(found))
      })
    })
  const pause = adminCommand('pause', 'collect nothing on any replica until `varve gc resume`').action(
    async (flags: AdminFlags) => {
      await administer(flags, async ask => printDone(flags, await ask('gc.pause', {}), 'paused'))
    },
  )
  const resume = adminCommand('resume', 'collect again').action(async (flags: AdminFlags) => {
    await administer(flags, async ask => {
      await ask('gc.resume', {})
      printDone(flags, { isPaused: false }, 'collecting again')
    })
  })
  const command = new Command('gc').description('look after content that nothing names any more')
  for (const each of [status, run, explain, pause, resume]) command.addCommand(each)
  return command
}

function atWork(): DomainError {
  return new DomainError('busy', 'Another process is collecting garbage at this moment; try again.', {
    resource: 'garbage',
  })
}

function paused(): DomainError {
  return new DomainError(
    'conflict',
    'The garbage collection is paused; let it go on with `varve gc resume`.',
    { resource: 'garbage' },
  )
}
