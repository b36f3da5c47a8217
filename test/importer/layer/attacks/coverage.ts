/** Which tests stand for which attack sequence (layers.md 2.C) and for which CVE (2.A). */

/** A test file, from the top of the repository, and a part of a title in it. */
export interface Where {
  readonly file: string
  readonly title: string
}

const here = 'test/importer/layer/attacks'
const sequences = (file: string, ...numbers: readonly number[]): [number, Where[]][] =>
  numbers.map(number => [number, [{ file: `${here}/${file}`, title: `S-${number}: ` }]])

/** By number of the sequence. Each is run on a directory and on a dataset. */
export const coverage: ReadonlyMap<number, readonly Where[]> = new Map<number, readonly Where[]>([
  ...sequences('paths.ts', 1, 2, 3, 4, 5, 8, 9, 10, 14, 35),
  ...sequences('links.ts', 6, 7, 11, 12, 13),
  ...sequences('hiding.ts', 15, 16, 17, 19, 20, 21),
  ...sequences('linear.test.ts', 18),
  ...sequences('metadata.ts', 23, 24, 25),
  ...sequences('names.ts', 27),
  ...sequences('archives.ts', 28, 29, 30, 31, 32),
  ...sequences('zfs-control.ts', 36),
  ...sequences('race.test.ts', 37),
  ...sequences('importing.test.ts', 40),
  [
    22,
    [
      { file: `${here}/metadata.ts`, title: 'S-22: ' },
      {
        file: `${here}/importing.test.ts`,
        title: 'S-22: a FIFO in the place of etc/passwd, and a user to look up in it',
      },
    ],
  ],
  [
    26,
    [
      { file: `${here}/metadata.ts`, title: 'S-26: ' },
      { file: `${here}/xattrs.test.ts`, title: 'S-26: ' },
    ],
  ],
  [
    33,
    [
      { file: `${here}/blobs.test.ts`, title: 'S-33: ' },
      { file: 'test/importer/layer/decode/decompress.test.ts', title: 'S-33: ' },
    ],
  ],
  [
    34,
    [
      { file: `${here}/blobs.test.ts`, title: 'S-34: ' },
      { file: `${here}/importing.test.ts`, title: 'S-34: ' },
    ],
  ],
  [
    38,
    [
      {
        file: 'test/faults/crash-matrix/import-alone.test.ts',
        title: 'Import of an image that shares nothing',
      },
      {
        file: 'test/faults/kill-import.test.ts',
        title: 'gives the same tree in a pool when it is run again',
      },
      {
        file: 'test/faults/kill-import.test.ts',
        title: 'gives the same tree in a directory when it is run again',
      },
      { file: 'test/contract/chain-store/crashes.ts', title: 'reclaims what a killed builder left' },
    ],
  ],
  [
    39,
    [
      { file: `${here}/importing.test.ts`, title: 'S-39: ' },
      {
        file: 'test/contract/chain-store/building.ts',
        title: 'answers a chain that somebody else has committed',
      },
      {
        file: 'test/importer/importer.test.ts',
        title: 'applies each layer once when two imports of an image run at once',
      },
    ],
  ],
])

/** What stands for a CVE: a sequence, a case of cve.ts or moby.ts that names it, a test elsewhere, or why it cannot be ours. */
export type Stand = `S-${number}` | 'cve.ts' | 'moby.ts' | Where | { readonly notOurs: string }

const numericUser: Stand = {
  file: 'test/importer/process/resolve-user.test.ts',
  title: 'CVE-2024-40635, CVE-2026-46680',
}
const noPrograms: Stand = {
  notOurs:
    'no decompressor is run, and no program in a root: helpers have absolute paths and an empty environment',
}

/** By CVE or advisory, those of layers.md 2.A that concern the reading of images and layers. */
export const knownCves: Readonly<Record<string, Stand>> = {
  'CVE-2014-6407': 'cve.ts',
  'CVE-2014-9356': 'S-1',
  'CVE-2014-9357': 'S-33',
  'CVE-2014-9358': {
    file: 'test/importer/chain/zfs/dataset-names.test.ts',
    title: 'refuses what zfs or an option parser could misread',
  },
  'CVE-2014-8178': 'S-34',
  'CVE-2014-8179': 'S-34',
  'CVE-2017-14992': 'S-31',
  'CVE-2018-15664': 'moby.ts',
  'CVE-2019-14271': noPrograms,
  'CVE-2021-41089': 'cve.ts',
  'CVE-2021-41091': {
    file: 'test/contract/chain-store/building.ts',
    title: 'keeps trees and records private to root',
  },
  'CVE-2026-17106': 'S-13',
  'CVE-2026-41567': noPrograms,
  'CVE-2021-32760': 'S-7',
  'CVE-2025-47290': 'S-8',
  'CVE-2022-23648': { notOurs: 'volumes of an image are data to Varve: nothing is copied from their paths' },
  'CVE-2023-25153': 'S-32',
  'CVE-2024-40635': numericUser,
  'CVE-2026-46680': numericUser,
  'CVE-2026-53488': {
    notOurs: 'the config of an image is handed on as data; no label of it configures a zone',
  },
  'GHSA-ww5g-h6rh-8wm3': 'S-37',
  'GHSA-rp3h-jf77-q9p4': 'S-18',
  'CVE-2024-25621': {
    file: 'test/contract/chain-store/building.ts',
    title: 'keeps trees and records private to root',
  },
  'CVE-2021-29136': 'S-5',
  'CVE-2021-41190': { file: 'test/storage/manifest.test.ts', title: 'cannot mean two things' },
  'CVE-2021-20291': 'S-33',
  'CVE-2024-9676': { file: 'test/importer/process/read-in-root.test.ts', title: 'CVE-2024-9676' },
  'CVE-2024-3727': {
    file: 'test/property/parsers.test.ts',
    title: 'with any one character changed, added or missing is refused',
  },
  'CVE-2018-20834': 'cve.ts',
  'CVE-2021-32803': 'cve.ts',
  'CVE-2021-32804': 'cve.ts',
  'CVE-2021-37701': 'cve.ts',
  'CVE-2021-37712': 'cve.ts',
  'CVE-2021-37713': 'cve.ts',
  'CVE-2026-23745': 'cve.ts',
  'CVE-2026-23950': 'cve.ts',
  'CVE-2026-24842': 'cve.ts',
  'CVE-2026-26960': 'cve.ts',
  'CVE-2026-29786': 'cve.ts',
  'CVE-2026-31802': 'cve.ts',
  'CVE-2024-12905': 'cve.ts',
  'CVE-2025-48387': 'cve.ts',
  'CVE-2025-59343': 'cve.ts',
  'CVE-2022-2879': 'S-32',
  'CVE-2025-58183': 'S-32',
  'CVE-2025-62518': 'S-30',
  'CVE-2026-33055': 'cve.ts',
  'GHSA-fp55-jw48-c537': 'cve.ts',
  'CVE-2025-45582': 'S-4',
  'CVE-2016-6321': 'cve.ts',
  'CVE-2007-4559': 'cve.ts',
  'CVE-2025-4138': 'cve.ts',
  'CVE-2025-4330': 'cve.ts',
  'CVE-2025-4435': 'cve.ts',
  'CVE-2025-4517': 'cve.ts',
  'CVE-2025-8194': 'cve.ts',
}
