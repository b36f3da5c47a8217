import type { Command } from 'commander'
import { eachOf } from './each-of.ts'
import { formatTable, shortDigest } from './format.ts'
import { openImportService } from './open-import-service.ts'
import { type CommonFlags, configOf, importerCommand, jsonOption } from './options.ts'
import { print, printJson } from './print.ts'
import { printable } from './printable.ts'

interface ListFlags extends CommonFlags {
  readonly json?: true
}

/** `publish`, `published`, `unpublish`: images that SmartOS makes zones of. */
export function publishCommands(): Command[] {
  return [publishCommand(), publishedCommand(), unpublishCommand()]
}

function publishCommand(): Command {
  return importerCommand('publish', 'make an image one that vmadm finds by its UUID (SmartOS)')
    .argument('<image>', 'name or digest')
    .addOption(jsonOption())
    .action(async (image: string, flags: ListFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const published = await service.publish(image)
      if (flags.json) return printJson(published)
      print(printable(`${published.uuid} ${published.snapshot}`))
    })
}

function publishedCommand(): Command {
  return importerCommand('published', 'list images that were published')
    .addOption(jsonOption())
    .action(async (flags: ListFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const published = await service.published()
      if (flags.json) return printJson(published)
      print(
        formatTable(
          ['UUID', 'IMAGE', 'CHAIN', 'SNAPSHOT'],
          published.map(({ uuid, names, chainId, snapshot }) => [
            uuid,
            names.join(', ') || '<none>',
            shortDigest(chainId),
            snapshot,
          ]),
        ),
      )
    })
}

function unpublishCommand(): Command {
  return importerCommand('unpublish', 'take back images that were published, unless zones were made of them')
    .argument('<uuid...>', 'as `varve published` lists them')
    .addOption(jsonOption())
    .action(async (uuids: readonly string[], flags: ListFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const unpublished = await eachOf(uuids, async uuid => {
        await service.unpublish(uuid)
        if (!flags.json) print(printable(`unpublished ${uuid}`))
        return uuid
      })
      if (flags.json) printJson(unpublished)
    })
}
