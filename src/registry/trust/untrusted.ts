/** Why a signature does not count: a clause that has the signature as its subject. Never leaves this folder. */
export class Untrusted extends Error {
  override readonly name = 'Untrusted'
}
