import { type Command, InvalidArgumentError } from 'commander'
import { parsePlatform } from '../storage/platform.ts'
import { parseCloneName } from '../importer/chain/clone-name.ts'
import { openImportService } from './open-import-service.ts'
import { formatBytes, formatTable, shortDigest } from './format.ts'
import { createImportDisplay } from './import-display.ts'
import { inspectCommand } from './inspect-command.ts'
import { printable, printableJson } from './printable.ts'
import { type CommonFlags, configOf, importerCommand, jsonOption } from './options.ts'
import { abortOnSignals } from './signals.ts'

interface ListFlags extends CommonFlags {
  readonly json?: true
}

interface CloneFlags extends ListFlags {
  readonly quota?: number
}

/** `import`, `images`, `inspect`, `rmi`, `clone`, `clones`, `rm`: what a person does with images and clones. */
export function imageCommands(): Command[] {
  return [
    importCommand(),
    imagesCommand(),
    inspectCommand(),
    removeImageCommand(),
    cloneCommand(),
    clonesCommand(),
    removeCloneCommand(),
  ]
}

function importCommand(): Command {
  return importerCommand('import', 'turn an image into a chain of snapshots')
    .argument('<image>', '[registry/]repository[:tag][@digest]')
    .option('--platform <os/arch>', 'which platform of a multi-platform image (default: linux/amd64)')
    .option('--plain-http <hosts>', 'registries to speak plain HTTP to, comma-separated; loopback always is')
    .addOption(jsonOption())
    .action(async (image: string, flags: ListFlags) => {
      const { config } = configOf(flags)
      const { signal } = abortOnSignals()
      const display = createImportDisplay(process.stdout, flags.json ?? false)
      try {
        await using service = await openImportService(config, flags, { signal })
        const platform = parsePlatform(config.importer.platform)
        display.done(
          await service.import({ image, platform }, { signal, onEvent: event => display.onEvent(event) }),
        )
      } finally {
        display.close()
      }
    })
}

function imagesCommand(): Command {
  return importerCommand('images', 'list imported images')
    .addOption(jsonOption())
    .action(async (flags: ListFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const images = await service.images()
      if (flags.json) return printJson(images)
      print(
        formatTable(
          ['IMAGE', 'DIGEST', 'PLATFORM', 'LAYERS', 'SIZE', 'CHAIN', 'IMPORTED'],
          images.map(image => [
            image.names.join(', ') || '<none>',
            shortDigest(image.manifestDigest),
            image.platform,
            String(image.layers),
            formatBytes(image.size),
            shortDigest(image.chainId),
            image.importedAt.toISOString(),
          ]),
        ),
      )
    })
}

function removeImageCommand(): Command {
  return importerCommand('rmi', 'remove images, and the layers that nothing else needs')
    .argument('<image...>', 'name or digest')
    .action(async (wanted: readonly string[], flags: CommonFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      for (const image of wanted) {
        const { manifestDigest, removedChains } = await service.removeImage(image)
        print(printable(`removed ${image} (${shortDigest(manifestDigest)}) and ${removedChains} layers`))
      }
    })
}

function cloneCommand(): Command {
  return importerCommand('clone', 'make a writable root filesystem of an imported image')
    .argument('<image>', 'name or digest')
    .argument('<name>', 'name of the clone; the same name and image give the clone that is there')
    .option('--quota <bytes>', 'how large the clone may grow (ZFS only)', wholeNumber)
    .addOption(jsonOption())
    .action(async (image: string, name: string, flags: CloneFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const clone = await service.clone(image, parseCloneName(name), { quota: flags.quota })
      if (flags.json) return printJson(clone)
      print(printable(`${clone.dataset} from ${clone.origin}`))
      print(printable(clone.rootfs))
      if ('problem' in clone.run) print(printable(`warning: ${clone.run.problem}`))
    })
}

function clonesCommand(): Command {
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

function removeCloneCommand(): Command {
  return importerCommand('rm', 'destroy clones')
    .argument('<name...>', 'names of clones')
    .action(async (names: readonly string[], flags: CommonFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      for (const name of names) {
        await service.destroyClone(parseCloneName(name))
        print(`destroyed ${name}`)
      }
    })
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value <= 0)
    throw new InvalidArgumentError('Write a whole number of bytes.')
  return value
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function printJson(value: unknown): void {
  print(printableJson(value, 2))
}
