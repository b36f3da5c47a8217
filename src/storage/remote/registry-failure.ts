import { DomainError, type ErrorDetails } from '../../errors.ts'
import type { Access } from './access.ts'
import type { ChosenCredentials } from './credentials/credentials.ts'
import { explanationIn } from './explanation.ts'
import { retryAfterMsOf } from './retry-after.ts'

/** Who was asked, as whom, for what. */
export interface FailedRequest {
  /** `host[:port]`, as image names have it. */
  readonly registry: string
  readonly base: URL
  readonly chosen: ChosenCredentials | undefined
  readonly access: Access
  /** What was asked for, such as `manifests/1`. */
  readonly path: string
}

export interface FailedAnswer {
  readonly status: number
  readonly url: URL
  header(name: string): string | undefined
}

/** What an answer that is no success means. The registry's own words are quoted, shortened. */
export function failureOf(request: FailedRequest, answer: FailedAnswer, body: Uint8Array): DomainError {
  const { registry, base, access, path } = request
  const { status, url } = answer
  const said = explanationIn(body)
  const where = url.origin === base.origin ? '' : ` at ${url.origin}, where it redirects to,`
  const image = access.repository === undefined ? registry : `${registry}/${access.repository}`
  const what = `${image} (${path})`
  const ofImage: ErrorDetails = { resource: 'image', name: image }
  const ofRegistry: ErrorDetails = {
    resource: 'registry',
    name: registry,
    retryAfterSeconds: secondsOf(answer.header('retry-after')),
  }
  const sentence = `The registry ${registry}${where} answered ${status} for ${what}${said}`
  if (where === '' && status === 401) return refusalOf(request, 'unauthorized')
  if (where === '' && status === 403) return refusalOf(request, 'denied')
  if (status === 401 || status === 403) return new DomainError('denied', `${sentence}.`, ofImage)
  if (status === 404)
    return new DomainError(
      'not_found',
      `The registry ${registry}${where} does not have ${what}${said}.`,
      ofImage,
    )
  if (status === 429)
    return new DomainError(
      'throttled',
      `The registry ${registry}${where} asks to slow down (429)${said}; try again later.`,
      ofRegistry,
    )
  // RFC 5842, 7.2; another Varve answers it (hops.ts).
  if (status === 508 && where === '')
    return new DomainError(
      'unsupported',
      `The registry ${registry} says that ${what} is asked for in a circle (508)${said}.`,
      { ...ofRegistry, isLoop: true },
    )
  if (status === 416) return new DomainError('out_of_range', `${sentence}.`, ofImage)
  if (status === 409 || status === 412) return new DomainError('conflict', `${sentence}.`, ofImage)
  if (status === 413) return new DomainError('too_large', `${sentence}.`, ofImage)
  const isPassing = status >= 500 || status === 408
  return new DomainError(isPassing ? 'unavailable' : 'unsupported', `${sentence}.`, ofRegistry)
}

/** That whom we ask as may not do it. */
export function refusalOf(
  { registry, chosen, access: { repository, verb } }: FailedRequest,
  code: 'unauthorized' | 'denied',
): DomainError {
  const what = repository ?? `to ${verb} its repositories`
  const it = repository === undefined ? 'do so' : `${verb} it`
  return new DomainError(code, `The registry ${registry} refuses ${what}: ${whyRefused(chosen, it)}.`, {
    resource: 'image',
    name: repository === undefined ? registry : `${registry}/${repository}`,
  })
}

function whyRefused(chosen: ChosenCredentials | undefined, it: string): string {
  if (chosen === undefined) return `no credentials were given; name a user who may ${it}`
  const { name, credentials } = chosen
  if (credentials.kind === 'password')
    return `the user ${credentials.username} may not ${it}, or the password is wrong (credentials ${name})`
  return `the token of the credentials ${name} may not ${it}, or is no longer valid`
}

function secondsOf(header: string | undefined): number | undefined {
  const ms = retryAfterMsOf(header)
  return ms === undefined ? undefined : Math.ceil(ms / 1000)
}
