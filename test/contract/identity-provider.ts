import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { type AccountName, parseAccountName } from '../../src/storage/accounts/names.ts'
import type { Identity, IdentityProvider, Login } from '../../src/registry/auth/identity.ts'

export interface OpenedIdentityProvider extends AsyncDisposable {
  readonly provider: IdentityProvider
  /** Of an account that is good, and stays so until {@link end}. */
  readonly login: Login
  readonly account: AccountName
  /** Logins that look much like it and are wrong, by what is wrong with them. */
  readonly wrong: Readonly<Record<string, Login>>
  /** How the audit log is told that it was proved. */
  readonly credential: RegExp
  /** Takes the account, or what proves it, away. Undefined when nobody can. */
  readonly end?: (() => Promise<void>) | undefined
  /** Whether what proves it can stand for the account later. */
  readonly isRenewable: boolean
  /** What was logged since it was opened. */
  logged(): string
}

/** The executable half of {@link IdentityProvider}. */
export function identityProviderContract(name: string, open: () => Promise<OpenedIdentityProvider>): void {
  describe(`${name} as an IdentityProvider`, () => {
    let opened: OpenedIdentityProvider
    before(async () => {
      opened = await open()
    })
    after(async () => await opened[Symbol.asyncDispose]())

    it('knows who somebody is, and what proves it', async () => {
      const identity = await opened.provider.verify(opened.login)
      assert.equal(identity?.account, opened.account)
      assert.match(identity.credential, opened.credential)
      assert.equal(identity.isAdmin, false)
    })

    it('says the same each time, to many at once as well', async () => {
      const logins = await Promise.all(Array.from({ length: 5 }, () => opened.provider.verify(opened.login)))
      for (const identity of logins) assert.deepEqual(identity, logins[0])
    })

    it('knows nobody by anything that is wrong', async () => {
      for (const [what, login] of Object.entries(opened.wrong))
        assert.equal(await opened.provider.verify(login), undefined, what)
    })

    it('knows nobody by what is absurd', async () => {
      const { address } = opened.login
      for (const text of ['', ' ', '\0', 'é', '../alice', 'x'.repeat(10_000), 'vrv_', 'a.b.c', 'eyJ.eyJ.'])
        for (const login of [
          { username: text, password: text, address },
          { username: text, password: 'password', address },
          { username: 'somebody', password: text, address },
        ])
          assert.equal(await opened.provider.verify(login), undefined, JSON.stringify(login).slice(0, 60))
    })

    it('does nothing for who has gone, and leaves no listener', async () => {
      const gone = { signal: AbortSignal.abort() }
      await assert.rejects(opened.provider.verify(opened.login, gone), { name: 'AbortError' })
      const { signal } = new AbortController()
      await opened.provider.verify(opened.login, { signal })
      assert.equal(getEventListeners(signal, 'abort').length, 0)
    })

    it('renews an account that still has its stamp, and no other', async () => {
      const { provider, account, isRenewable } = opened
      const identity = await provider.verify(opened.login)
      assert.equal(identity?.stamp === null, !isRenewable)
      const renew = (name: AccountName, stamp: string): Promise<Identity | undefined> =>
        provider.renew(name, stamp)
      for (const stamp of [
        '',
        'password:',
        'token:',
        'password:0123',
        `${identity?.stamp}0`,
        'x'.repeat(10_000),
      ])
        assert.equal(await renew(account, stamp), undefined, stamp.slice(0, 60))
      if (identity?.stamp == null) return
      assert.equal(await renew(parseAccountName('nobody'), identity.stamp), undefined)
      assert.deepEqual(await renew(account, identity.stamp), identity)
    })

    it('does not know an account any more that has ended', async t => {
      const { provider, login, account, end } = opened
      if (end === undefined) return t.diagnostic('what proves it ends by itself')
      const identity = await provider.verify(login)
      await end()
      if (identity?.stamp != null) assert.equal(await provider.renew(account, identity.stamp), undefined)
      assert.equal(await provider.verify(login), undefined)
    })

    it('logs nothing that somebody could log in with', () => {
      for (const { password } of [opened.login, ...Object.values(opened.wrong)])
        if (password.length >= 8) assert.ok(!opened.logged().includes(password))
    })
  })
}
