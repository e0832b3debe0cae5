"""The ledger in the formats that archives take: EcoTaxa, Darwin Core, CF NetCDF, iFDO and Parquet; docs/exports.md."""
