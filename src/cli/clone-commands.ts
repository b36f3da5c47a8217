import { type Command, InvalidArgumentError, Option } from 'commander'
import { DomainError } from '../errors.ts'
import { parseCloneName } from '../importer/chain/clone-name.ts'
import type { CloneName } from '../importer/chain/chain-store.ts'
import type { ClonedImage, CloneOutcome } from '../importer/import-service.ts'
import { cloneOf, clonesOf, type CloneWish } from './clone-through.ts'
import { eachOf } from './each-of.ts'
import { describeFailure } from './exit.ts'
import { formatTable, shortDigest } from './format.ts'
import { bytes, seconds } from './numbers.ts'
import { openImportService } from './open-import-service.ts'
import { type CommonFlags, configOf, importerCommand, jsonOption } from './options.ts'
import { print, printJson } from './print.ts'
import { printable } from './printable.ts'
import { abortOnSignals } from './signals.ts'

interface ListFlags extends CommonFlags {
  readonly json?: true
}

interface CloneFlags extends ListFlags {
  readonly pull?: CloneWish['pull']
  readonly wait?: number
  readonly credentials?: string
  readonly priority?: number
  readonly quota?: number
  readonly mountpoint?: string
  readonly option?: Readonly<Record<string, string>>
}

/** `clone`: writable trees of an image. */
export function cloneCommand(): Command {
  return importerCommand('clone', 'make writable root filesystems of an image')
    .argument('<image>', 'name or digest')
    .argument('<name...>', 'names of the clones; the same name and image give the clone that is there')
    .addOption(
      new Option('--pull <policy>', 'when to import the image first (default: never)').choices([
        'never',
        'missing',
        'always',
      ]),
    )
    .option('--wait <seconds>', 'how long to wait for an import of the agent', seconds)
    .option('--platform <os/arch>', 'which platform of a multi-platform image to import')
    .option('--credentials <name>', 'configured credentials to import it with')
    .option('--quota <bytes>', 'how large a clone may grow (ZFS only)', bytes)
    .option('--mountpoint <path>', 'where the clone is mounted (one clone, ZFS only)')
    .option('-o, --option <property=value>', 'a ZFS property of the clones; may be repeated', property)
    .addOption(jsonOption())
    .action(async (image: string, names: readonly string[], flags: CloneFlags) => {
      const [first, ...others] = names.map(parseCloneName)
      if (first === undefined) return
      if (others.length === 0) await cloneOne(image, first, flags)
      else await cloneSeveral(image, [first, ...others], flags)
    })
}

async function cloneOne(image: string, name: CloneName, flags: CloneFlags): Promise<void> {
  const { signal } = abortOnSignals()
  const { config } = configOf(flags)
  await using service = await openImportService(config, flags, { signal })
  const clone = await cloneOf(service, image, name, wishOf(flags, config.importer.platform), signal)
  if (flags.json) return printJson(clone)
  showClone(clone)
}

async function cloneSeveral(image: string, names: readonly CloneName[], flags: CloneFlags): Promise<void> {
  if (flags.mountpoint !== undefined)
    throw new DomainError('invalid', 'Several clones cannot have one --mountpoint; make them one by one.', {
      resource: 'config',
      name: '--mountpoint',
    })
  const { signal } = abortOnSignals()
  const { config } = configOf(flags)
  await using service = await openImportService(config, flags, { signal })
  const outcomes = await clonesOf(service, image, names, wishOf(flags, config.importer.platform), signal)
  if (flags.json) printJson(outcomes.map(plainOutcome))
  else for (const outcome of outcomes) if ('clone' in outcome) print(printable(outcome.clone.rootfs))
  failWith(outcomes)
}

/** The others were made all the same. */
function failWith(outcomes: readonly CloneOutcome[]): void {
  for (const outcome of outcomes) {
    if ('clone' in outcome) continue
    const { message, exitCode } = describeFailure(outcome.error)
    process.stderr.write(`${message}\n`)
    process.exitCode = exitCode
  }
}

function plainOutcome(outcome: CloneOutcome): object {
  if ('clone' in outcome) return outcome
  const { code, message } = outcome.error
  return { name: outcome.name, error: { code, message } }
}

function showClone(clone: ClonedImage): void {
  print(printable(`${clone.dataset} from ${clone.origin}`))
  print(printable(clone.rootfs))
  if ('problem' in clone.run) print(printable(`warning: ${clone.run.problem}`))
}

function wishOf(flags: CloneFlags, platform: string): CloneWish {
  const { pull, wait: waitSeconds, credentials, priority, quota, mountpoint, option: properties } = flags
  return { pull, waitSeconds, credentials, priority, platform, quota, mountpoint, properties }
}

/** `clones`: which there are. */
export function clonesCommand(): Command {
  return importerCommand('clones', 'list clones')
    .addOption(jsonOption())
    .action(async (flags: ListFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const clones = await service.clones()
      if (flags.json) return printJson(clones)
      print(
        formatTable(
          ['NAME', 'CHAIN', 'ROOTFS', 'CREATED'],
          clones.map(({ name, chain, rootfs, createdAt }) => [
            name,
            shortDigest(chain),
            rootfs,
            createdAt.toISOString(),
          ]),
        ),
      )
    })
}

/** `rm`: clones are destroyed. */
export function removeCloneCommand(): Command {
  return importerCommand('rm', 'destroy clones')
    .argument('<name...>', 'names of clones')
    .addOption(jsonOption())
    .action(async (names: readonly string[], flags: ListFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const destroyed = await eachOf(names, async name => {
        await service.destroyClone(parseCloneName(name))
        if (!flags.json) print(`destroyed ${name}`)
        return name
      })
      if (flags.json) printJson(destroyed)
    })
}

function property(text: string, others: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Write property=value.')
  return { ...others, [name]: value }
}
