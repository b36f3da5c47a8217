import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { exec } from '../../test/support/process.ts'

/** What many clients have seen who asked for the same thing at once. Times in milliseconds. */
export interface Seen {
  /** Until the first byte of each, shortest first. */
  readonly firstBytes: readonly number[]
  /** Until the last of them had all. */
  readonly all: number
  /** Of all of them. */
  readonly bytes: number
}

/**
 * One curl with so many transfers at once, each on a connection of its own, to nowhere: it takes little of the machine.
 * @throws Error when any of them is answered with anything but 200, or broken off.
 */
export async function pullAtOnce(clients: number, url: string, directory: string): Promise<Seen> {
  const config = join(directory, 'curl.conf')
  const transfer = `url = "${url}"\noutput = "/dev/null"\n`
  await writeFile(config, transfer.repeat(clients))
  const output = await exec('curl', [
    ...['--silent', '--show-error', '--fail', '--http1.1', '--header', `Accept: ${mediaTypes.ociManifest}`],
    ...['--parallel', '--parallel-immediate', `--parallel-max`, String(clients), '--config', config],
    ...['--write-out', '%{http_code} %{time_starttransfer} %{time_total} %{size_download}\\n'],
  ])
  const lines = output.trim().split('\n')
  const seen = lines.map(line => line.split(' ').map(Number))
  if (lines.length !== clients || seen.some(([status]) => status !== 200))
    throw new Error(`${url}: ${output}`)
  const column = (index: number): number[] => seen.map(values => values[index] ?? Number.NaN)
  return {
    firstBytes: column(1)
      .map(secondsToMs)
      .sort((a, b) => a - b),
    all: secondsToMs(Math.max(...column(2))),
    bytes: column(3).reduce((sum, bytes) => sum + bytes, 0),
  }
}

function secondsToMs(seconds: number): number {
  return seconds * 1000
}
