import type { Outcome } from './expected.ts'
import { refusal } from './expected.ts'
import type { ProtocolRoute } from './protocol-routes.ts'
import type { Repository } from './repositories.ts'
import type { Proof } from './rules.ts'
import { outcomeOf, Shown } from './shown.ts'
import type { World } from './world.ts'

/** What is sent with a request, and what it is worth. */
export interface Credential {
  readonly authorization: string | undefined
  readonly proof: Proof
  /** What it is worth to administration, where that is something else. */
  readonly administers?: Proof
}

/** What came of a row that came out otherwise than expected. */
export interface Surprise {
  readonly row: string
  readonly expected: Outcome
  readonly actual: Outcome
}

export function isSurprise(surprise: Surprise | undefined): surprise is Surprise {
  return surprise !== undefined
}

/** That of a repository in one row: one that is not there is another one each time. */
export function nameIn(world: World, { name, isThere }: Repository): string {
  return isThere ? name : `${name}-${world.fresh()}`
}

/** One row: undefined when it came out as expected. */
export async function ask(
  world: World,
  who: string,
  route: ProtocolRoute,
  repository: Repository,
  name: string,
  { authorization, proof }: Credential,
): Promise<Surprise | undefined> {
  const { mode, url, admin } = world
  const { method, needs: need } = route
  const refused = refusal({ mode, url, need, repository, name, proof })
  const asker = new Shown(url, authorization)
  const isLetIn = refused === undefined
  const { target, ...call } = await route.prepare({
    name,
    isThere: repository.isThere,
    isLetIn,
    asker,
    admin,
    mark: world.fresh(),
  })
  const expected = refused === undefined ? answered(route, repository) : told(refused, method)
  const actual = outcomeOf(await asker.send(method, target, call))
  if (isSame(expected, actual)) return undefined
  return { row: rowName(mode, who, route, repository), expected, actual }
}

export function rowName(
  mode: string,
  who: string,
  { method, path }: Pick<ProtocolRoute, 'method' | 'path'>,
  { title }: Repository,
): string {
  const where = path.includes('*name') ? ` at ${title}` : ''
  return `mode ${mode}: ${who} does ${method} ${path}${where}`
}

function answered({ there, absent }: ProtocolRoute, { isThere }: Repository): Outcome {
  return isThere ? there : absent
}

/** An answer to HEAD has no body that could hold a code. */
export function told({ status, code, challenge }: Outcome, method: string): Outcome {
  return {
    status,
    ...(code === undefined || method === 'HEAD' ? {} : { code }),
    ...(challenge === undefined ? {} : { challenge }),
  }
}

export function isSame(one: Outcome, other: Outcome): boolean {
  return one.status === other.status && one.code === other.code && one.challenge === other.challenge
}
