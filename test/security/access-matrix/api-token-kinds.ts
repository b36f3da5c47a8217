import { makeAccountToken } from '../../../src/registry/auth/identities/account-token.ts'
import { parseAccountName } from '../../../src/storage/accounts/names.ts'
import { basic } from '../../support/known-identities.ts'
import {
  account,
  type CredentialKind,
  narrow,
  narrowScopes,
  notGood,
  nothingGood,
  person,
} from './credential-kind.ts'
import type { Proof } from './rules.ts'
import type { World } from './world.ts'

/** An API token, in place of a password and alone. */
function apiToken(
  title: string,
  make: (world: World) => Promise<string>,
  proof: (as: 'Basic' | 'Bearer') => Proof,
): CredentialKind[] {
  const texts = new Map<World, Promise<string>>()
  const textOf = (world: World) => {
    const text = texts.get(world) ?? make(world)
    texts.set(world, text)
    return text
  }
  return [
    {
      title: `${title} as password`,
      make: async world => ({ authorization: basic(account, await textOf(world)), proof: proof('Basic') }),
    },
    {
      title: `${title} as Bearer`,
      make: async world => ({ authorization: `Bearer ${await textOf(world)}`, proof: proof('Bearer') }),
    },
  ]
}

/** Tokens that stand for an account. */
export const apiTokenKinds: readonly CredentialKind[] = [
  ...apiToken('an API token', world => world.addToken(account), person),
  ...apiToken(
    'a narrower API token',
    world => world.addToken(account, { scopes: narrowScopes }),
    as => person(as, [narrow]),
  ),
  ...apiToken('a revoked API token', async world => await revoked(world), notGood),
  ...apiToken(
    'an expired API token',
    world => world.addToken(account, { expiresAt: new Date(Date.now() - 1000) }),
    notGood,
  ),
  ...apiToken('the API token of a disabled account', world => world.addToken('dora'), notGood),
  ...apiToken('an API token that nobody was given', async () => makeAccountToken('token').text, notGood),
  ...apiToken('a refresh token', world => world.addToken(account, { kind: 'refresh', stamp: 'x' }), notGood),
  {
    title: "an API token under another's name",
    make: async world => ({ authorization: basic('mia', await world.addToken(account)), proof: nothingGood }),
  },
]

async function revoked(world: World): Promise<string> {
  const text = await world.addToken(account)
  await world.metadata.revokeCredential(parseAccountName(account), text.split('_')[1] ?? '')
  return text
}
