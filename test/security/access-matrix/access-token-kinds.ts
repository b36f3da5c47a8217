import type { Action } from '../../../src/storage/accounts/roles.ts'
import { basic } from '../../support/known-identities.ts'
import { accessToken, altered, signedAgain, signedByAnother, unsigned } from './access-tokens.ts'
import { account, type CredentialKind, noGoodToken, nothingGood, person, plain } from './credential-kind.ts'
import { workload } from './people.ts'
import type { Proof, Scope } from './rules.ts'
import type { World } from './world.ts'

const everything: readonly Action[] = ['pull', 'push', 'delete']

/** An access token. @param make for what the request needs. */
function bearer(
  title: string,
  make: (world: World, wanted: Scope) => Promise<string>,
  proof: (wanted: Scope) => Proof,
): CredentialKind {
  return {
    title,
    make: async (world, wanted) => ({
      authorization: `Bearer ${await make(world, wanted)}`,
      proof: proof(wanted),
    }),
  }
}

const good = (world: World, wanted: Scope): Promise<string> =>
  accessToken(world.metadata, { account, access: [wanted] })

/** Tokens of the token service, and what looks like them. */
export const accessTokenKinds: readonly CredentialKind[] = [
  bearer('an access token for just that', good, wanted => ({ is: 'token', access: [wanted] })),
  bearer(
    'an access token for nothing',
    world => accessToken(world.metadata, { account, access: [] }),
    () => ({ is: 'token', access: [] }),
  ),
  bearer(
    'an access token for pulling only',
    (world, { name }) => accessToken(world.metadata, { account, access: [{ name, actions: ['pull'] }] }),
    ({ name }) => ({ is: 'token', access: [{ name, actions: ['pull'] }] }),
  ),
  bearer(
    'an access token for pushing only',
    (world, { name }) => accessToken(world.metadata, { account, access: [{ name, actions: ['push'] }] }),
    ({ name }) => ({ is: 'token', access: [{ name, actions: ['push'] }] }),
  ),
  bearer(
    'an access token for another repository',
    (world, { name }) =>
      accessToken(world.metadata, { account, access: [{ name: `${name}x`, actions: everything }] }),
    ({ name }) => ({ is: 'token', access: [{ name: `${name}x`, actions: everything }] }),
  ),
  ...[
    {
      what: 'for another service',
      make: (world: World, wanted: Scope) =>
        accessToken(world.metadata, { account, access: [wanted], service: 'elsewhere' }),
    },
    ...Object.entries({
      'for another audience': { aud: 'elsewhere' },
      'by another issuer': { iss: 'elsewhere' },
      'without an end': { exp: undefined },
      'without a place for what it allows': { access: undefined },
    }).map(([what, claims]) => ({
      what,
      make: async (world: World, wanted: Scope) =>
        await signedAgain(world.metadata, await good(world, wanted), claims),
    })),
    {
      what: 'that has expired',
      make: (world: World, wanted: Scope) =>
        accessToken(world.metadata, { account, access: [wanted], age: 7200 }),
    },
    {
      what: 'that is not good yet',
      make: (world: World, wanted: Scope) =>
        accessToken(world.metadata, { account, access: [wanted], age: -7200 }),
    },
    {
      what: 'signed with another key',
      make: async (world: World, wanted: Scope) => await signedByAnother(await good(world, wanted)),
    },
    {
      what: 'with other claims than were signed',
      make: async (world: World, wanted: Scope) =>
        altered(await good(world, { ...wanted, actions: [] }), {
          sub: 'root',
          access: [{ type: 'repository', ...wanted }],
        }),
    },
    {
      what: 'without a signature',
      make: async (world: World, wanted: Scope) => unsigned(await good(world, wanted)),
    },
  ].map(({ what, make }) => bearer(`an access token ${what}`, make, () => noGoodToken)),
  {
    title: 'a token of an OpenID provider as Bearer',
    make: async world => ({
      authorization: `Bearer ${await world.issuer.sign({ sub: 'job-1' })}`,
      proof: noGoodToken,
      administers: person('Bearer', undefined, workload),
    }),
  },
  plain('Bearer that is no token', 'Bearer x', noGoodToken),
  {
    title: 'an access token as password',
    make: async (world, wanted) => ({
      authorization: basic(account, await good(world, wanted)),
      proof: nothingGood,
    }),
  },
]

/** Tokens of an OpenID provider that are not good; those that are stand for people of their own. */
export const providerTokenKinds: readonly CredentialKind[] = [
  {
    title: 'a token of an OpenID provider for another audience',
    make: async world => ({
      authorization: basic('any', await world.issuer.sign({ aud: 'elsewhere' })),
      proof: nothingGood,
    }),
  },
  {
    title: 'an expired token of an OpenID provider',
    make: async world => ({
      authorization: basic('any', await world.issuer.sign({ exp: Math.floor(Date.now() / 1000) - 300 })),
      proof: nothingGood,
    }),
  },
  {
    title: 'a token of an OpenID provider signed with another key',
    make: async world => ({
      authorization: basic('any', await signedByAnother(await world.issuer.sign())),
      proof: nothingGood,
    }),
  },
]
