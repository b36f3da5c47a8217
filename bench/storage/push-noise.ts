import { expect, startUpload } from '../registry/content.ts'
import type { Noise } from './noise.ts'

/** A push until before its end. Answers where the closing PUT goes. */
export async function sendNoise(
  url: string,
  repository: string,
  noise: Noise,
  patches: number,
): Promise<string> {
  let location = await startUpload(url, repository)
  // As docker does it: one body, of which nobody says how long it is.
  if (patches === 1) location = await expect(202, 'PATCH', location, noise.body())
  else {
    const step = Math.ceil(noise.size / patches)
    for (let start = 0; start < noise.size; start += step) {
      const end = Math.min(start + step, noise.size)
      location = await expect(202, 'PATCH', location, noise.body(start, end), undefined, {
        'content-length': String(end - start),
        'content-range': `${start}-${end - 1}`,
      })
    }
  }
  return `${location}&digest=${noise.digest}`
}

/** The whole push, as docker does it. */
export async function pushNoise(url: string, repository: string, noise: Noise): Promise<void> {
  await expect(201, 'PUT', await sendNoise(url, repository, noise, 1))
}
