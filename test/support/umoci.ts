import { join } from 'node:path'
import { exec } from './process.ts'
import { ensurePrograms } from './programs.ts'

/**
 * Unpacks an image of an OCI layout with umoci, the oracle for what layers mean. `bundle` must not exist yet.
 * Answers the directory that holds the image's `/`.
 */
export async function umociUnpack(layout: string, tag: string, bundle: string): Promise<string> {
  await ensurePrograms('umoci')
  await exec('umoci', ['unpack', '--image', `${layout}:${tag}`, bundle])
  return join(bundle, 'rootfs')
}
