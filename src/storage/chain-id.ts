import { type DiffId, type Digest, digestOf, parseDigest } from './digest.ts'

/** Identity of a layer *and everything below it* (OCI image-spec, config.md, "Layer ChainID"). */
export type ChainId = Digest & { readonly __chainId: true }

/** One chain ID per diff ID, base first. ChainID(L0) = DiffID(L0); ChainID(L0|…|Ln) = sha256(ChainID(L0|…|Ln-1) + " " + DiffID(Ln)). */
export function chainIdsOf(diffIds: readonly DiffId[]): ChainId[] {
  const chain: ChainId[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(
      (below === undefined ? diffId : digestOf(Buffer.from(`${below} ${diffId}`))) as Digest as ChainId,
    )
  }
  return chain
}

export function parseChainId(text: string): ChainId {
  return parseDigest(text) as ChainId
}
