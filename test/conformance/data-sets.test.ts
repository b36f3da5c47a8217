import { startRegistry } from '../support/registry.ts'
import { checkedReferences, dataSetSuite } from './data-set-suite.ts'

for (const requireReferences of checkedReferences)
  dataSetSuite(requireReferences, () => startRegistry({ rules: { requireReferences } }))
