import type { FileFinisher } from '../../src/importer/layer/tree/file-finisher.ts'
import type { FileAttributes, NewFile } from '../../src/importer/layer/tree/new-file.ts'

/** Takes all files and finishes them as late as it may, so that whoever relies on them too early is seen. */
export class LateFinisher implements FileFinisher {
  /** Files that are open. */
  readonly taken: { readonly file: NewFile; readonly finish: () => void }[] = []

  take(file: NewFile, content: Uint8Array, attributes: FileAttributes): boolean {
    const kept = Uint8Array.from(content)
    const finish = (): void => {
      file.write(kept)
      file.describe(attributes)
    }
    this.taken.push({ file, finish })
    return true
  }

  settle(): void {
    for (const { file, finish } of this.taken.splice(0)) {
      finish()
      file.close()
    }
  }

  abandon(): void {
    for (const { file } of this.taken.splice(0)) file.close()
  }
}
