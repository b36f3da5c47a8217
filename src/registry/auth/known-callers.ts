import { type ChangeMark, KeptValues } from '../../storage/metadata/kept-values.ts'
import type { Access } from './access.ts'
import type { Caller, Credentials } from './access-controller.ts'
import { HiddenTexts } from './identities/hidden-texts.ts'
import type { Identity, IdentityProvider } from './identity.ts'

export interface KnownCallersOptions {
  readonly identities: Pick<IdentityProvider, 'repeat'>
  /** That of the database with all that decides who may do what. */
  readonly changeMark: ChangeMark
}

/** Somebody who was let in. */
export interface LetIn {
  /** Null: nobody in particular. */
  readonly identity: Identity | null
  readonly caller: Caller
}

/**
 * Who was let in, by what they showed and what they wanted, for as long as the database's mark is the same and their
 * identity says that it is still good. A client shows the same with each of its requests, and to find all out anew would
 * ask the database several times for its change mark, which costs more than all the rest. Only who was let in is kept.
 */
export class KnownCallers {
  readonly #identities: Pick<IdentityProvider, 'repeat'>
  readonly #kept: KeptValues<LetIn>
  readonly #hidden = new HiddenTexts()

  constructor({ identities, changeMark }: KnownCallersOptions) {
    this.#identities = identities
    this.#kept = new KeptValues(changeMark)
  }

  /** @param find finds out who it is and whether they may. */
  async of(
    { authorization, connection }: Pick<Credentials, 'authorization' | 'connection'>,
    wanted: readonly Access[],
    find: () => Promise<LetIn>,
  ): Promise<Caller> {
    const mark = authorization === undefined ? undefined : this.#kept.mark()
    if (authorization === undefined || mark === undefined) return (await find()).caller
    const key = `${this.#hidden.of(authorization, connection)} ${wanted.map(textOf).join(' ')}`
    const known = this.#kept.find(key)
    if (known?.identity && this.#identities.repeat?.(known.identity) === true) return known.caller
    const found = await find()
    if (found.identity?.unchangedUntil !== undefined) this.#kept.keep(key, found, mark)
    return found.caller
  }
}

/** Names have no blanks in them. */
function textOf(access: Access): string {
  return access.kind === 'catalog' ? access.kind : `${access.action}:${access.name}`
}
