"""The assets that are looked for in titles: tickers and names. Data, no logic.

A name or ticker that is also a word, a company or a person stands behind `~`: it counts only with
evidence beside it (see `assets`). Names are compared as they are
written here, and all in capitals.
"""

# ticker: names, with commas. Sorted by what is written about most.
_TABLE = """
BTC: Bitcoin, Bitcoins
ETH: Ethereum, Ether
USDT: Tether
BNB: Binance Coin, BNB Chain
SOL: Solana
USDC: USD Coin
XRP: XRP Ledger, XRPL, ~Ripple
DOGE: Dogecoin
ADA: Cardano
TRX: Tron
~LINK: Chainlink
AVAX: ~Avalanche
SUI: Sui Network, Sui
XLM: ~Stellar
HBAR: Hedera
BCH: Bitcoin Cash
LTC: Litecoin
SHIB: Shiba Inu
~TON: Toncoin, Ton Network, The Open Network
~DOT: Polkadot
~UNI: Uniswap
XMR: Monero
~PEPE: Pepecoin, ~Pepe
AAVE: Aave
~NEAR: Near Protocol, NEAR Protocol, ~Near
APT: Aptos
~ICP: Internet Computer
ETC: Ethereum Classic
POL: ~Polygon
ARB: Arbitrum
~OP: ~Optimism
~ATOM: Cosmos Hub, ~Cosmos
FIL: Filecoin
~RENDER: Render Network, ~Render
INJ: Injective
~HYPE: Hyperliquid
TAO: Bittensor
KAS: Kaspa
~TIA: Celestia
~SEI: Sei Network, Sei
STX: ~Stacks
~IMX: Immutable X, ~Immutable
ALGO: Algorand
VET: VeChain, Vechain
GRT: The Graph
~MKR: MakerDAO, ~Maker
LDO: Lido DAO, Lido Finance, Lido
~ENA: Ethena
ONDO: Ondo Finance, Ondo
~JUP: ~Jupiter
~PYTH: Pyth Network
WIF: Dogwifhat, dogwifhat
~BONK: Bonk
FLOKI: Floki
~TRUMP: Official Trump, TRUMP Memecoin
WLD: Worldcoin
~QNT: ~Quant
~FLOW: ~Flow
~SAND: The Sandbox
MANA: Decentraland
AXS: Axie Infinity
~GALA: Gala Games
~APE: ApeCoin, Apecoin
CRV: Curve DAO, Curve Finance
COMP: Compound Finance
SNX: Synthetix
DYDX: dYdX
ZEC: Zcash
~DASH: ~Dash
XTZ: Tezos
EOS: EOS Network
NEO: ~Neo
~IOTA: ~Iota
THETA: Theta Network
EGLD: MultiversX
KAVA: Kava
RUNE: THORChain, Thorchain
CAKE: PancakeSwap
~SUN: Sun Token
JST: Just Token
BTT: BitTorrent Token
~WIN: WINkLink
~ONE: Harmony One, ~Harmony
~GAS: Neo Gas
~CRO: Cronos
OKB: OKB Token
LEO: UNUS SED LEO, Unus Sed Leo
~DAI: Dai Stablecoin, ~Dai
PYUSD: PayPal USD
FDUSD: First Digital USD
WBTC: Wrapped Bitcoin
STETH: Lido Staked Ether
~STRK: Starknet
~ZK: zkSync, ZKsync
~ZRO: LayerZero
~EIGEN: EigenLayer
~W: ~Wormhole
~ENS: Ethereum Name Service
BAT: Basic Attention Token
CHZ: Chiliz
~AR: Arweave
FET: Fetch.ai, Artificial Superintelligence Alliance
PENDLE: Pendle
~S: ~Sonic
BERA: Berachain
~PUMP: Pump.fun
~PENGU: Pudgy Penguins
XDC: XDC Network
BSV: Bitcoin SV
"""


def _read() -> tuple[dict[str, str], frozenset[str]]:
    names: dict[str, str] = {}
    doubtful = set()
    for line in _TABLE.strip().splitlines():
        ticker, _, rest = line.partition(":")
        words = [ticker, *(word.strip() for word in rest.split(",") if word.strip())]
        for word in words:
            name = word.removeprefix("~")
            names[name] = ticker.removeprefix("~")
            if word.startswith("~"):
                doubtful.add(name)
            else:
                names.setdefault(name.upper(), ticker.removeprefix("~"))
    return names, frozenset(doubtful)


NAMES, DOUBTFUL = _read()  # word to ticker; the words that need evidence
TICKERS = frozenset(NAMES.values())
