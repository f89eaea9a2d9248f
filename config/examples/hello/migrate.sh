# Brings a database to the schema in SCHEMA, if there were one.
echo "the schema is $SCHEMA now"
