import { basic, passwordOf } from '../../support/known-identities.ts'
import {
  account,
  type CredentialKind,
  nothingGood,
  password,
  person,
  plain,
  provesNobody,
} from './credential-kind.ts'

/** What is shown by a user name and a password, or by nothing. */
export const passwordKinds: readonly CredentialKind[] = [
  plain('no Authorization', undefined, provesNobody),
  plain('Basic Og==', 'Basic Og==', provesNobody),
  plain('Basic with a password and no name', `Basic ${Buffer.from(':x').toString('base64')}`, provesNobody),
  plain('the password', basic(account, password), person('Basic')),
  plain(
    'the password, scheme in capitals',
    basic(account, password).replace('Basic', 'BASIC'),
    person('Basic'),
  ),
  plain('a wrong password', basic(account, 'not-the-password'), nothingGood),
  plain('an empty password', basic(account, ''), nothingGood),
  plain("another's password", basic(account, passwordOf('mia')), nothingGood),
  plain('the password of an account that is not there', basic('never', passwordOf('never')), nothingGood),
  plain('the password of a disabled account', basic('dora', passwordOf('dora')), nothingGood),
  plain('Basic that is no base64', 'Basic !!!', nothingGood),
  plain('Basic without a colon', `Basic ${Buffer.from(account).toString('base64')}`, nothingGood),
  plain('another scheme', 'Digest username="dave"', nothingGood),
]
