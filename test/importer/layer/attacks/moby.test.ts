import { describeInEachPlace } from '../../../support/layer-places.ts'
import { attackTests } from './attack.ts'
import { mobyAttacks } from './moby.ts'

describeInEachPlace("moby's cases", { timeout: 120_000 }, place => attackTests(place, mobyAttacks))
