import { DomainError } from '../errors.ts'

/** OCI image-spec, image-index.md, "platform object"; os and architecture in Go's words. */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string | undefined
}

export const defaultPlatform: Platform = Object.freeze({ os: 'linux', architecture: 'amd64' })

/** Parses `os/architecture[/variant]`. @throws DomainError `invalid`. */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.split('/')
  if (!os || !architecture || rest.length > 0 || variant === '')
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text)} is not a platform; write os/architecture, such as linux/amd64 or linux/arm64/v8.`,
      { resource: 'platform', name: text },
    )
  return variant === undefined ? { os, architecture } : { os, architecture, variant }
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter(Boolean).join('/')
}

/** A wanted platform without a variant takes any variant. */
export function satisfies(offered: Platform, wanted: Platform): boolean {
  return (
    offered.os === wanted.os &&
    offered.architecture === wanted.architecture &&
    (wanted.variant === undefined || offered.variant === wanted.variant)
  )
}
