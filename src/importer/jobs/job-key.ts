import { formatPlatform } from '../../storage/platform.ts'
import { formatImageName, parseImageName } from '../../storage/reference.ts'
import type { ImportRequest } from '../import-service.ts'

/** With its image in full. @throws DomainError `invalid`. */
export function inFull(request: ImportRequest): ImportRequest {
  return { ...request, image: formatImageName(parseImageName(request.image)) }
}

/** What the same requests have in common. @param request its image in full. */
export function keyOf({ image, platform, credentials }: ImportRequest): string {
  return JSON.stringify([image, formatPlatform(platform), credentials ?? null])
}
