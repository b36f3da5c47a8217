import { exec } from './process.ts'

const units: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

/**
 * Bytes of a pool's disks that are taken, what ZFS keeps about datasets included, which `used` of a dataset is not. As exactly as
 * `zpool list` says it: three digits.
 */
export async function allocatedBytes(pool: string): Promise<number> {
  const text = (await exec('zpool', ['list', '-H', '-o', 'alloc', pool])).trim()
  const [, number = 'NaN', unit = ''] = /^([\d.]+)([KMGT]?)B?$/.exec(text) ?? []
  return Number(number) * (units[unit] ?? 1)
}
