import { Command } from 'commander'
import { parseDigest } from '../storage/digest.ts'
import { describeExplanation, describeStatus, describeTick } from './gc-display.ts'
import { type CommonFlags, commandWithConfig, configOf, jsonOption } from './options.ts'
import { print, printJson } from './print.ts'
import { abortOnSignals } from './signals.ts'

type Flags = CommonFlags & { readonly json?: true }

/** `gc`: what nothing names any more, and what becomes of it. */
export function gcCommand(): Command {
  const status = gcSubcommand(
    'status',
    'show what has gone, what waits, and whether the collection is paused',
  )
    .addOption(jsonOption())
    .action(async (flags: Flags) => {
      const { gcStatus } = await import('./registry/gc.ts')
      const found = await gcStatus(configOf(flags).config, abortOnSignals())
      if (flags.json) printJson(found)
      else print(describeStatus(found))
    })
  const run = gcSubcommand('run', 'collect what is due now, whatever the time of day')
    .addOption(jsonOption())
    .action(async (flags: Flags) => {
      const { gcRun } = await import('./registry/gc.ts')
      for await (const tick of gcRun(configOf(flags).config, abortOnSignals()))
        if (flags.json) printJson(tick)
        else print(describeTick(tick))
    })
  const explain = gcSubcommand(
    'explain',
    'say why a blob or manifest is kept, as a path from a tag, or when it goes',
  )
    .argument('<digest>', 'sha256:… or sha512:…')
    .addOption(jsonOption())
    .action(async (text: string, flags: Flags) => {
      const digest = parseDigest(text)
      const { gcExplain } = await import('./registry/gc.ts')
      const explanation = await gcExplain(configOf(flags).config, digest, abortOnSignals())
      if (flags.json) printJson(explanation)
      else print(describeExplanation(explanation))
    })
  const pause = gcSubcommand('pause', 'collect nothing on any replica until `varve gc resume`').action(
    async (flags: CommonFlags) => {
      const { gcPause } = await import('./registry/gc.ts')
      await gcPause(configOf(flags).config, abortOnSignals())
      print('paused')
    },
  )
  const resume = gcSubcommand('resume', 'collect again').action(async (flags: CommonFlags) => {
    const { gcResume } = await import('./registry/gc.ts')
    await gcResume(configOf(flags).config, abortOnSignals())
    print('collecting again')
  })
  const command = new Command('gc').description('look after content that nothing names any more')
  for (const each of [status, run, explain, pause, resume]) command.addCommand(each)
  return command
}

function gcSubcommand(name: string, summary: string): Command {
  return commandWithConfig(name, summary).addHelpText(
    'after',
    '\nIt reads the database itself, so run it as the user that the registry runs as, with its configuration.',
  )
}
