import type { Command } from 'commander'
import { speaksUtf8 } from '../config.ts'
import { drawHistory } from './history-tree.ts'
import { openImportService } from './open-import-service.ts'
import { type CommonFlags, configOf, importerCommand, jsonOption } from './options.ts'
import { printableJson } from './printable.ts'

interface HistoryFlags extends CommonFlags {
  readonly json?: true
}

/** Where nobody says how wide a line may be: room for the longest names, and still to be read. */
const columnsOfFiles = 200

/** `history`: how images, layers and clones hang together. */
export function historyCommand(): Command {
  return importerCommand('history', 'draw lineages with their layers, images and clones as a tree')
    .addOption(jsonOption())
    .action(async (flags: HistoryFlags) => {
      await using service = await openImportService(configOf(flags).config, flags)
      const lineages = await service.history()
      if (flags.json === true) return print(printableJson(lineages, 2))
      if (lineages.length === 0) return print('no lineages; varve import makes the first')
      print(
        drawHistory(lineages, { unicode: speaksUtf8(), columns: process.stdout.columns || columnsOfFiles }),
      )
    })
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
