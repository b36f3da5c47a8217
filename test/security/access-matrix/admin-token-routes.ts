import {
  acme,
  type AdminRoute,
  admins,
  isOwner,
  type Lets,
  ownAccount,
  ownersOfRobot,
  ownOr,
  way,
} from './admin-route.ts'
import type { Person } from './people.ts'

/** Whose tokens they are. */
const tokenTargets: readonly {
  readonly what: string
  readonly targetOf: (person: Person) => string
  readonly others: Lets
  /** Whether admins can make one: it would be that user for them. */
  readonly canBeMadeByAdmins: boolean
}[] = [
  { what: 'of the own account', targetOf: ownAccount, others: admins, canBeMadeByAdmins: true },
  { what: 'of one account', targetOf: () => 'zoe', others: admins, canBeMadeByAdmins: false },
  { what: 'of a robot', targetOf: () => 'acme+ci', others: ownersOfRobot, canBeMadeByAdmins: true },
]

/** Administration of API tokens. */
export const apiTokenRoutes: readonly AdminRoute[] = tokenTargets.flatMap(
  ({ what, targetOf, others, canBeMadeByAdmins }) => {
    const lets = ownOr(targetOf, others)
    const path = '/api/v1/accounts/:account/tokens'
    const parameters = (person: Person) => ({ account: targetOf(person) })
    return [
      way(
        'POST',
        path,
        person => {
          // What is good for minutes makes nothing that lasts.
          if (person.by === 'OpenID token') return 'no'
          return person.isAdmin && !canBeMadeByAdmins ? 'no' : lets(person)
        },
        { what, status: 201, prepare: ({ person }) => ({ parameters: parameters(person), body: {} }) },
      ),
      way('GET', path, lets, { what, prepare: ({ person }) => ({ parameters: parameters(person) }) }),
      way('DELETE', `${path}/:token`, lets, {
        what,
        status: 204,
        prepare: async ({ world, person }) => {
          const text = await world.addToken(targetOf(person))
          return { parameters: { ...parameters(person), token: text.split('_')[1] ?? '' } }
        },
      }),
    ]
  },
)

const explain = (what: string, targetOf: (person: Person) => string | undefined): AdminRoute =>
  way(
    'GET',
    '/api/v1/access',
    person => (targetOf(person) === person.account || person.isAdmin || isOwner(person, acme) ? 'yes' : 'no'),
    {
      what,
      prepare: ({ person }) => {
        const account = targetOf(person)
        const wanted = {
          action: 'pull',
          repository: 'acme/app',
          ...(account === undefined ? {} : { account }),
        }
        return { query: `?${new URLSearchParams(wanted).toString()}` }
      },
    },
  )

/** Administration of the whole registry. */
export const upkeepRoutes: readonly AdminRoute[] = [
  explain('of the own account', ownAccount),
  explain('of one account', () => 'zoe'),
  explain('of nobody', () => undefined),
  way('GET', '/api/v1/audit', admins),
  way('GET', '/api/v1/signing-keys', admins),
  way('POST', '/api/v1/signing-keys', admins, { status: 201, prepare: () => ({ body: {} }) }),
]
