import type { Command } from 'commander'
import { counted } from '../counted.ts'
import { cloneCommand, clonesCommand, removeCloneCommand } from './clone-commands.ts'
import { eachOf } from './each-of.ts'
import { formatBytes, formatTable, shortDigest } from './format.ts'
import { importCommand, importsCommand } from './import-commands.ts'
import { inspectCommand } from './inspect-command.ts'
import { openImportService } from './open-import-service.ts'
import { type CommonFlags, configOf, importerCommand, jsonOption } from './options.ts'
import { print, printJson } from './print.ts'
import { printable } from './printable.ts'
import { publishCommands } from './publish-commands.ts'

interface ListFlags extends CommonFlags {
  readonly json?: true
}

/** What a person does with images and clones. */
export function imageCommands(): Command[] {
  return [
    importCommand(),
    importsCommand(),
    imagesCommand(),
    inspectCommand(),
    removeImageCommand(),
    cloneCommand(),
    clonesCommand(),
    removeCloneCommand(),
    ...publishCommands(),
  ]
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
          ['IMAGE', 'DIGEST', 'PLATFORM', 'LAYERS', 'SIZE', 'CHAIN', 'CLONES', 'IMPORTED', 'LAST USED'],
          images.map(image => [
            image.names.join(', ') || '<none>',
            shortDigest(image.manifestDigest),
            image.platform,
            String(image.layers),
            formatBytes(image.size),
            shortDigest(image.chainId),
            String(image.clones),
            image.importedAt.toISOString(),
            image.lastUsedAt.toISOString(),
          ]),
        ),
      )
    })
}

function removeImageCommand(): Command {
  return importerCommand('rmi', 'remove images, and the layers that nothing else needs')
    .argument('<image...>', 'name or digest')
    .addOption(jsonOption())
    .action(async (wanted: readonly string[], flags: ListFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const removed = await eachOf(wanted, async image => {
        const { manifestDigest, removedChains, names } = await service.removeImage(image)
        if (!flags.json)
          print(
            printable(
              `removed ${image} (${shortDigest(manifestDigest)}) and ${counted(removedChains, 'layer')}`,
            ),
          )
        return { names, manifestDigest, removedChains }
      })
      if (flags.json) printJson(removed)
    })
}
